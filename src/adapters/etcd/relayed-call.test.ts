import { expect, test } from 'vitest';
import { encodePrefixEnd, encodeText } from './keys.ts';
import { carriedCall } from './relayed-call.ts';

const PREFIX = '/service/demo/';
const own = (key: string) => encodeText(PREFIX + key);
const END = encodePrefixEnd(PREFIX);
const put = (more: object = {}) => ({ request_put: { key: own('sync'), value: encodeText('{}'), lease: '7', ...more } });
const txn = (more: object = {}) => ({
  compare: [{ key: own('leader'), target: 'MOD', result: 'LESS', mod_revision: '9' }],
  success: [put(), { request_delete_range: { key: own('leader') } }],
  failure: [{ request_range: { key: own('leader') } }],
  ...more,
});

test.each<[string, object]>([
  ['/lease/keepalive', { ID: '7587888' }],
  ['/lease/grant', { TTL: '30' }],
  ['/kv/range', { key: encodeText(PREFIX), range_end: END, serializable: false }],
  ['/kv/txn', txn()],
])('%s with %j is carried', (path, body) => {
  expect(carriedCall(path, body, PREFIX)).toMatchObject({ path, body });
});

test.each<[unknown, unknown]>([
  ['/lease/revoke', { ID: '7' }],
  ['/auth/authenticate', { name: 'root', password: 'x' }],
  ['/kv/put', { key: own('leader'), value: '' }],
  ['/lease/keepalive/../revoke', { ID: '7' }],
  ['toString', {}],
  [7, {}],
  ['/lease/keepalive', null],
  ['/lease/keepalive', [{ ID: '7' }]],
  ['/lease/keepalive', {}],
  ['/lease/keepalive', { ID: 7 }],
  ['/lease/keepalive', { ID: '7', more: true }],
  ['/lease/grant', { TTL: '30', ID: '7' }],
  ['/kv/range', { key: encodeText('/service/other/leader') }],
  ['/kv/range', { key: encodeText('/service/demo') }],
  ['/kv/range', { key: encodeText('/service/demo2/leader') }],
  ['/kv/range', { key: own('leader'), range_end: encodeText('/service/demo1') }],
  ['/kv/range', { key: own('leader'), range_end: 'AA==' }],
  ['/kv/range', { key: own('leader'), rangeEnd: 'AA==' }],
  ['/kv/range', { range_end: END }],
  ['/kv/range', { key: `${own('leader')}=`, serializable: false }],
  ['/kv/range', { key: own('leader'), serializable: true }],
  ['/kv/txn', txn({ success: [put({ key: encodeText('/x') })] })],
  ['/kv/txn', txn({ success: [put({ value: 'not base64' })] })],
  ['/kv/txn', txn({ success: [put({ ignore_lease: true })] })],
  ['/kv/txn', txn({ success: [{ ...put(), request_range: { key: own('leader') } }] })],
  ['/kv/txn', txn({ success: [{}] })],
  ['/kv/txn', txn({ success: [{ requestPut: put().request_put }] })],
  ['/kv/txn', txn({ success: [{ request_txn: txn() }] })],
  ['/kv/txn', txn({ success: [{ request_delete_range: { key: encodeText(PREFIX), range_end: END } }] })],
  ['/kv/txn', txn({ success: put() })],
  ['/kv/txn', txn({ failure: [{ request_range: { key: encodeText('/x') } }] })],
  ['/kv/txn', txn({ compare: [{ key: encodeText('/x'), target: 'MOD', mod_revision: '9' }] })],
  ['/kv/txn', txn({ compare: [{ key: own('leader'), target: 'VERSION', version: '9' }] })],
  ['/kv/txn', txn({ compare: [{ target: 'MOD', mod_revision: '9' }] })],
  ['/kv/txn', txn({ compare: [{ key: encodeText(PREFIX), range_end: END, target: 'MOD', mod_revision: '9' }] })],
  ['/kv/txn', txn({ more: [] })],
])('%j with %j is not', (path, body) => {
  expect(carriedCall(path, body, PREFIX)).toBeNull();
});
