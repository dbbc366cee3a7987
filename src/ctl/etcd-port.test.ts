import { expect, test } from 'vitest';
import { loadCtlConfig } from './config.ts';

const endpoints = (section: string) =>
  loadCtlConfig({}, { PATRONI_CONFIGURATION: '', PATRONICTL_CONFIG_FILE: '', HOME: '/nowhere', ...environment(section) }).etcd.endpoints;

function environment(section: string): Record<string, string> {
  return Object.fromEntries(section.split(' ').map((pair) => [`PATRONI_ETCD3_${pair.split('=')[0]}`, pair.slice(pair.indexOf('=') + 1)]));
}

// Another etcd may answer at the default port, and its cluster would be shown for this one.
test.each([
  ['HOSTS=h,i:1 PORT=2479', ['http://h:2479', 'http://i:1']],
  ['HOST=h PORT=2479', ['http://h:2479']],
  ['HOST=h:1 PORT=2479', ['http://h:2479']],
  ['HOST=h', ['http://h:2379']],
  ['HOSTS=fd00::1 PORT=2479 PROTOCOL=https', ['https://[fd00::1]:2479']],
])('%s means %j to regentctl as to the agent', (section, expected) => {
  expect(endpoints(section)).toEqual(expected);
});
