import { writeFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { BASE, configFiles } from '../../test/fixtures/config-files.ts';
import { keptLog } from '../../test/fixtures/operator-port.ts';
import { validateDynamicPatch } from './dynamic.ts';
import { loadLocal } from './load.ts';
import { createSettingsSource } from './source.ts';

const { write, told } = configFiles();
const withNames = (names: string) => `${BASE}  parameters:\n    synchronous_commit: on\n    synchronous_standby_names: '${names}'\n`;
const COST =
  "without synchronous_mode every commit waits as long as none of them is connected, and a failover does not ask who they are; let Regent choose them: 'regentctl edit-config -s synchronous_mode=on', and remove it here";

/** BASE is the file of node a. */
it.each([
  ['b', ''],
  ['a', 'it names this node alone, which cannot confirm its own commits: while it leads, no standby confirms; '],
  ['b, A', "this node's own name is left out: it is read as b; "],
  ['node-2', 'it is read as "node-2"; '],
  ['FIRST (b)', 'it is not a list of names as PostgreSQL reads them, and is left out; '],
])('in the file of a node: %s', (names, remark) => {
  const path = 'postgresql.parameters.synchronous_standby_names';
  expect(told(withNames(names))).toEqual([`w p.yml:14:32: ${path}: ${remark}${COST}`]);
});

it('in the file, with synchronous_mode beside it', () => {
  expect(told(`${withNames('b')}bootstrap: {dcs: {synchronous_mode: quorum}}\n`)).toEqual([
    'w p.yml:14:32: postgresql.parameters.synchronous_standby_names: ignored as long as synchronous_mode is quorum: Regent chooses the standbys that confirm; remove it',
  ]);
});

it('nothing is logged where nothing is named', () => {
  expect(told(withNames(''))).toEqual([]);
});

it('in the dynamic configuration', () => {
  const postgresql = { parameters: { synchronous_standby_names: 'b' } };
  expect(validateDynamicPatch({ postgresql }).map(({ message, severity }) => [severity, message])).toEqual([
    ['warning', expect.stringMatching(/^a member leaves its own name out; without synchronous_mode /)],
  ]);
  expect(validateDynamicPatch({ postgresql }, { synchronous_mode: true })[0]?.message).toMatch(
    /^ignored as long as synchronous_mode is on:/,
  );
});

/** What the agent says of it, from the start on. */
function agentOf(text: string) {
  const path = write(text);
  const log = keptLog();
  const loaded = loadLocal({ path, env: {} });
  expect(loaded.warnings).toEqual([]);
  return { path, log, settings: createSettingsSource({ path, env: {}, loaded, log }) };
}
const IGNORED = /^warning .*p\.yml:14:32: postgresql\.parameters\.synchronous_standby_names: ignored as long as synchronous_mode is on: /;

it('the log says once when the cluster has made it ineffective, and nothing to the contrary', () => {
  const { log, settings } = agentOf(withNames('b'));
  expect(settings.current().parameters['synchronous_standby_names']).toBe('b');
  expect(log.lines).toEqual([]);
  settings.adopt({ data: { synchronous_mode: 'on' }, modRevision: '1' });
  settings.adopt({ data: { synchronous_mode: 'on', ttl: 40 }, modRevision: '2' });
  expect(settings.current().parameters).not.toHaveProperty('synchronous_standby_names');
  expect(log.lines).toEqual([expect.stringMatching(IGNORED)]);
});

it('the log says that it counts where synchronous_mode is missing, or the file was written for one', () => {
  for (const text of [withNames('b'), `${withNames('b')}bootstrap: {dcs: {synchronous_mode: true}}\n`]) {
    const { log, settings } = agentOf(text);
    settings.adopt({ data: { ttl: 30 }, modRevision: '1' });
    expect(log.lines).toEqual([expect.stringContaining(COST)]);
  }
});

it('a reload that brings the list is checked against the mode in force', () => {
  const { path, log, settings } = agentOf(BASE);
  settings.adopt({ data: { synchronous_mode: 'on' }, modRevision: '1' });
  writeFileSync(path, withNames('b'));
  expect(settings.reload()).toBe('changed');
  expect(log.lines).toEqual([expect.stringMatching(/^info configuration read again/), expect.stringMatching(IGNORED)]);
});
