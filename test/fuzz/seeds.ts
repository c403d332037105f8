import type { FuzzInput } from './target.ts';
import { caseFolders, loadCases } from '../support/decode-cases.ts';

/** The cases of a dialect as they would come over MQTT. */
export function casesOf(folder: string): readonly FuzzInput[] {
  return [...loadCases(folder).values()].map(({ message: { topic, payload } }) => ({
    topic,
    payload: Buffer.from(payload),
  }));
}

const now = 1_790_000_000_000;
const texts = (...rows: readonly string[]): readonly Buffer[] => rows.map((row) => Buffer.from(row));

export const telemetry = texts(
  '{"temperature":21.4}',
  `{"ts":${now},"temperature":21.4,"humidity":48,"door":false,"mode":"eco"}`,
  `{"time":"2026-09-21T14:13:20.123456+02:00","heart_rate":72}`,
  `{"ts":${now},"values":{"temperature":-3.25e1,"note":"früh \\ud83c\\udf21","off":null}}`,
  `[{"ts":${now},"a":1},{"ts":${now + 1_000},"a":2,"b":true},{"values":{"c":0.5}}]`,
  '{ "a.b:c-d" : 1 , "a_1" : -0 }',
);

export const flat = texts(
  '{"a":1}',
  `{"ts":${now},"temperature":21.4,"on":true}`,
  `{"time":${now}.5,"a":-0.25, "b":123456789012345,"c":false}`,
  '{"a":0.000001,"b":99999999999999,"c":1e3}',
);

export const bare = texts('21.4', 'true', 'ON', '-1.5e-3', '"text"', 'some words', '  7\n', 'nan');

export const attributes = texts(
  '{"firmware":"1.4.2","model":"TH-2","battery":"CR2032","slots":4,"metered":true,"gone":null}',
);

export const statuses = texts('online', 'offline', '"online"', ' offline\n');

export const replies = texts(
  '{"status":"succeeded","result":{"set":21,"list":[1,[2,{"a":null}]]}}',
  '{"status":"failed","result":"no such valve"}',
);

export const posted = texts(
  `[{"device":"d1","metric":"a","time":${now},"value":1},{"device":"d2","metric":"b","value":"x"}]`,
  '{"device":"d1","metric":"a","time":"2026-09-21T14:13:20Z","value":true}',
);

export const postedLines = texts(
  `{"device":"d1","metric":"a","time":${now},"value":1}\n\n{"device":"d2","metric":"b","value":false}\n`,
  '{"device":"d1","metric":"a","value":1}\r\n{"device":"","metric":"a","value":1}',
);

export const nativeTopics = [
  'devices/d1/telemetry',
  'devices/d1/telemetry/temperature',
  'devices/d1/telemetry/room/temperature',
  'devices/d1/status',
  'devices/d1/attributes',
  'devices/d1/commands/cmd_1/reply',
  'devices/d1/commands/cmd_1',
  'devices/d1/throttle',
  'devices/d1/provision',
];

export const patterns = texts(
  'zigbee2mqtt/{device}',
  'tele/{device}/SENSOR',
  'shelly{model}-{id}/online/#',
  'shellies/{device}/relay/{channel}',
  '+/{a}-{b}_{c}/+/x{d}y/#',
);

export const filters = texts(
  '#',
  '+',
  'devices/#',
  'devices/+/telemetry/#',
  '+/+/a',
  '/',
  '/+',
  '$SYS/#',
  'a//b',
  '+/#',
);

/** Every way in on MQTT, native and foreign. */
export function everyMessage(): readonly FuzzInput[] {
  const native = [
    ...telemetry.map((payload) => ({ topic: 'devices/d1/telemetry', payload })),
    ...flat.map((payload) => ({ topic: 'devices/d2/telemetry', payload })),
    ...bare.map((payload) => ({ topic: 'devices/d1/telemetry/temperature', payload })),
    ...attributes.map((payload) => ({ topic: 'devices/d1/attributes', payload })),
    ...statuses.map((payload) => ({ topic: 'devices/d1/status', payload })),
    ...replies.map((payload) => ({ topic: 'devices/d1/commands/cmd_1/reply', payload })),
    { topic: 'devices/d3/provision', payload: Buffer.from('{"key":"pulseprov_0","request":"r1"}') },
    { topic: 'elsewhere/and/further', payload: Buffer.from('relayed') },
    { topic: '$SYS/broker', payload: Buffer.from('reserved') },
  ];
  return [...native, ...caseFolders().flatMap(casesOf)];
}
