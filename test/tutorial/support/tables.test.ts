import { expect, it } from 'vitest';
import { readTable } from './tables.ts';

const DRAWN = `as you asked:
+ Cluster: postgres-cluster (7234567890123456789) -----+----+
| Member   | Host | Role    | State     | TL | Lag in MB |
+----------+------+---------+-----------+----+-----------+
| patroni1 | p1   | Leader  | running   |  1 |           |
| patroni2 | p2   | Replica | streaming |  1 |         0 |
+----------+------+---------+-----------+----+-----------+
 Maintenance mode: on
| not | a | row |
`;

it('reads a table', () => {
  expect(readTable(DRAWN)).toEqual({
    title: 'Cluster: postgres-cluster (7234567890123456789)',
    columns: ['Member', 'Host', 'Role', 'State', 'TL', 'Lag in MB'],
    rows: [
      { Member: 'patroni1', Host: 'p1', Role: 'Leader', State: 'running', TL: '1', 'Lag in MB': '' },
      { Member: 'patroni2', Host: 'p2', Role: 'Replica', State: 'streaming', TL: '1', 'Lag in MB': '0' },
    ],
  });
});

it('knows a table without a name, and a text without a table', () => {
  expect(readTable('+---+\n| A |\n+---+\n| 1 |\n+---+')).toEqual({ title: null, columns: ['A'], rows: [{ A: '1' }] });
  expect(readTable('+ nothing +\nno')).toBeNull();
});
