import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { ConfigError, type ConfigSources, environmentName, loadConfig } from '../../src/config/load.ts';
import { redactConfig } from '../../src/config/redact.ts';
import { tempFolder } from '../support/temp-folder.ts';

const folder = tempFolder();
afterAll(() => folder.remove());

let written = 0;
function fileWith(text: string): string {
  const path = join(folder.path, `${written++}.yaml`);
  writeFileSync(path, text);
  return path;
}

/** What is wrong, fault by fault. */
function faults(sources: ConfigSources): readonly string[] {
  try {
    loadConfig(sources);
  } catch (error) {
    if (error instanceof ConfigError) return error.faults;
    throw error;
  }
  return [];
}

describe('the configuration', () => {
  it('has a default for everything, in the units that the rooms count in', () => {
    const config = loadConfig();
    expect(config.http).toEqual({
      host: '127.0.0.1',
      port: 8080,
      publicUrl: '',
      basePath: '',
      cors: [],
      trustProxy: false,
      trustedProxies: ['127.0.0.0/8', '::1'],
      bodyBytesMax: 8_388_608,
      downloadsMax: 8,
      tls: { cert: '', key: '' },
    });
    expect([config.mqtt.port, config.data.dir, config.ingest.futureMax]).toEqual([1883, './data', 60_000]);
    expect([config.mqtt.tls.port, config.mqtt.external.protocol]).toEqual([8883, 4]);
    expect([config.storage.sealAfter, config.quarantine.maxBytes]).toEqual([600_000, 67_108_864]);
    expect(config.webhooks.allowTargets).toEqual([]);
  });

  it('takes the flag over the environment over the file over the default, option by option', () => {
    const file = fileWith('http:\n  port: 2001\n  host: ::1\nmqtt:\n  port: 2002\nlog:\n  level: warn\n');
    const env = { PULSEGATE_HTTP_PORT: '3001', PULSEGATE_MQTT_PORT: '3002', PATH: '/bin' };
    const config = loadConfig({ file, env, flags: { 'http.port': '4001' } });
    expect([config.http.port, config.mqtt.port, config.http.host, config.log.level, config.live.clientsMax]).toEqual([
      4001,
      3002,
      '::1',
      'warn',
      1000,
    ]);
  });

  it('does not mind the key with which the command line asks', () => {
    expect(loadConfig({ env: { PULSEGATE_KEY: 'pulse_key' } })).toEqual(loadConfig());
  });

  it('may come from a file that is empty', () => {
    expect(loadConfig({ file: fileWith('# nothing yet\n') })).toEqual(loadConfig());
  });

  it('is frozen through and through, and a copy of nothing that another call gets', () => {
    const config = loadConfig();
    expect(Object.isFrozen(config)).toBe(true);
    for (const section of Object.values(config)) expect(Object.isFrozen(section)).toBe(true);
    expect(Object.isFrozen(config.mqtt.external.topics)).toBe(true);
    expect(Object.isFrozen(config.webhooks.allowTargets)).toBe(true);
    expect(loadConfig({ flags: { 'http.port': 1 } }).http.port).toBe(1);
    expect(loadConfig().http.port).toBe(8080);
  });
});

describe('an option', () => {
  it('is named in the environment by its path in capitals', () => {
    expect(
      ['http.port', 'webhooks.allowTargets', 'ingest.inFlightBytesMax', 'http.publicUrl'].map(environmentName),
    ).toEqual([
      'PULSEGATE_HTTP_PORT',
      'PULSEGATE_WEBHOOKS_ALLOW_TARGETS',
      'PULSEGATE_INGEST_IN_FLIGHT_BYTES_MAX',
      'PULSEGATE_HTTP_PUBLIC_URL',
    ]);
  });

  it('that is a list takes commas in the environment and in a flag, and a list in a file', () => {
    const expected = ['127.0.0.0/8', '192.168.1.0/24'];
    const env = { PULSEGATE_WEBHOOKS_ALLOW_TARGETS: '127.0.0.0/8, 192.168.1.0/24,' };
    expect(loadConfig({ env }).webhooks.allowTargets).toEqual(expected);
    expect(loadConfig({ flags: { 'webhooks.allowTargets': expected.join(',') } }).webhooks.allowTargets).toEqual(
      expected,
    );
    const file = fileWith('webhooks:\n  allowTargets:\n    - 127.0.0.0/8\n    - 192.168.1.0/24\n');
    expect(loadConfig({ file }).webhooks.allowTargets).toEqual(expected);
    expect(loadConfig({ file, env: { PULSEGATE_WEBHOOKS_ALLOW_TARGETS: '' } }).webhooks.allowTargets).toEqual([]);
  });

  it.each([
    ['64mb', 67_108_864],
    ['256kb', 262_144],
    ['1GB', 1_073_741_824],
    ['1.5 kb', 1_536],
    ['12', 12],
    [12, 12],
  ])('that is a size may be %j', (written_, bytes) => {
    expect(loadConfig({ flags: { 'quarantine.maxBytes': written_ } }).quarantine.maxBytes).toBe(bytes);
  });

  it.each([
    ['true', true],
    ['false', false],
    [true, true],
  ])('that is yes or no may be %j', (written_, value) => {
    expect(loadConfig({ flags: { 'http.trustProxy': written_ } }).http.trustProxy).toBe(value);
  });

  it.each([
    ['http.port', ''],
    ['http.port', ' '],
    ['http.port', null],
    ['http.port', true],
    ['http.port', [9000]],
    ['http.port', '0x10'],
    ['http.port', 80.5],
    ['http.port', 65_536],
    ['http.port', -1],
    ['mqtt.connectionsMax', 0],
    ['mqtt.mode', 'both'],
    ['mqtt.external.protocol', '3'],
    ['mqtt.external.url', 'http://broker'],
    ['http.basePath', 'telemetry/'],
    ['mqtt.connectionsMax', '1e3'],
    ['http.host', ''],
    ['http.trustProxy', 'yes'],
    ['http.cors', 7],
    ['http.cors', 'dash.example.com'],
    ['http.cors', 'https://dash.example.com/page'],
    ['http.publicUrl', 'ftp://example.com'],
    ['http.bodyBytesMax', '8 megabytes'],
    ['http.bodyBytesMax', '-1'],
    ['http.downloadsMax', '0'],
    ['live.heartbeat', '10'],
    ['live.heartbeat', 10_000],
    ['live.heartbeat', '0s'],
    ['webhooks.timeout', '0ms'],
    ['mqtt.connectTimeout', '0s'],
    ['mqtt.denySubscribe', 'devices/a#'],
    ['http.trustedProxies', '10.0.0.0/99'],
    ['http.trustedProxies', '127.0.0.1,proxy.example.com'],
    ['http.trustedProxies', '2001:db8::/129'],
    ['log.level', 'loud'],
    ['data.dir', 7],
  ])('%s cannot be %j', (option, value) => {
    expect(faults({ flags: { [option]: value } })).toEqual([
      expect.stringMatching(`^${option}: (?!Invalid string).{5,}`),
    ]);
  });
});

describe('a secret', () => {
  it('may be read from a file that the environment names, without its line end', () => {
    const file = fileWith('pulse_from_a_file\n');
    expect(loadConfig({ env: { PULSEGATE_ACCESS_ADMIN_KEY_FILE: file } }).access.adminKey).toBe('pulse_from_a_file');
    expect(loadConfig({ env: { PULSEGATE_ADMIN_KEY_FILE: file } }).access.adminKey).toBe('pulse_from_a_file');
    expect(loadConfig({ env: { PULSEGATE_ADMIN_KEY: 'plain' } }).access.adminKey).toBe('plain');
    expect(() => loadConfig({ env: { PULSEGATE_ADMIN_KEY: 'two words' } })).toThrow(/access\.adminKey.*no blanks/);
  });

  it('whose file is not there stops the start and says which', () => {
    expect(faults({ env: { PULSEGATE_ADMIN_KEY_FILE: join(folder.path, 'gone') } })).toEqual([
      expect.stringMatching(/^PULSEGATE_ADMIN_KEY_FILE: .*gone/),
    ]);
  });

  it('whose file is empty stops the start, for it would count as none', () => {
    const file = fileWith(' \n');
    expect(faults({ env: { PULSEGATE_ADMIN_KEY_FILE: file } })).toEqual([`PULSEGATE_ADMIN_KEY_FILE: ${file} is empty`]);
  });

  it('in a URL is not shown, and the rest of the URL is', () => {
    const config = loadConfig({ flags: { 'mqtt.external.url': 'mqtts://gateway:hunter2@broker.example:8883' } });
    expect(redactConfig(config)).toMatchObject({
      mqtt: { external: { url: 'mqtts://gateway:***@broker.example:8883' } },
    });
  });

  it('is shown as *** when it is set and as nothing when it is not', () => {
    const flags = { 'access.adminKey': 'pulse_secret', 'mqtt.external.password': 'pulse_secret' };
    const config = loadConfig({ flags });
    const shown = JSON.stringify(redactConfig(config));
    expect(shown).not.toContain('pulse_secret');
    const hidden = { 'access.adminKey': '***', 'mqtt.external.password': '***' };
    expect(redactConfig(config)).toEqual(loadConfig({ flags: hidden }));
    expect(redactConfig(loadConfig())).toEqual(loadConfig());
    expect(config.access.adminKey).toBe('pulse_secret');
  });
});

describe('faults', () => {
  it('are reported all at once, each with its path, whatever they came from', () => {
    const found = faults({
      file: fileWith('http:\n  prot: 1\nmqtt:\n  port: many\nwebhook:\n  timeout: 1s\n'),
      env: { PULSEGATE_HTTP_HSOT: 'x', PULSEGATE_LIVE_HEARTBEAT: 'soon' },
      flags: { 'log.level': 'loud', 'storage.seriesMx': 1 },
    });
    expect(found.map((fault) => fault.split(/[: ]/)[0]).toSorted()).toEqual([
      'PULSEGATE_HTTP_HSOT',
      'http.prot',
      'live.heartbeat',
      'log.level',
      'mqtt.port',
      'storage.seriesMx',
      'webhook',
    ]);
    expect(() => loadConfig({ flags: { 'http.prot': 1, 'log.level': 'loud' } })).toThrow(
      /has 2 faults:\n {2}- .+\n {2}- /,
    );
  });

  it('include readings kept for less than a window of rollups; the rollups themselves may be left out', () => {
    expect(faults({ flags: { 'storage.keepRaw': '5h' } })).toEqual([expect.stringMatching(/^storage\.keepRaw.*6h/)]);
    const { storage } = loadConfig({ flags: { 'storage.keepRaw': '6h', 'storage.keepMinutes': '0s' } });
    expect([storage.keepRaw, storage.keepMinutes, storage.keepHours]).toEqual([21_600_000, 0, null]);
    expect(loadConfig({ flags: { 'storage.keepHours': '2y' } }).storage.keepHours).toBe(2 * 365 * 86_400_000);
    expect(faults({ flags: { 'storage.keepHours': '1001y' } })).toEqual([
      expect.stringMatching(/^storage\.keepHours.*forever/),
    ]);
  });

  it('of names suggest the nearest that there is', () => {
    expect(faults({ flags: { 'http.prot': 1 } })).toEqual([
      'http.prot: there is no such option; did you mean http.port?',
    ]);
    expect(faults({ flags: { 'mqtt.maxConnections': 1 } })[0]).toContain('mqtt.');
    expect(faults({ env: { PULSEGATE_HTP_PORT: '1' } })).toEqual([
      'PULSEGATE_HTP_PORT names no option; did you mean PULSEGATE_HTTP_PORT?',
    ]);
  });

  it.each([
    ['__proto__:\n  polluted: yes\n', '__proto__'],
    ['http:\n  __proto__:\n    port: 1\n', 'http.__proto__'],
    ['constructor:\n  prototype: 1\n', 'constructor'],
  ])('include names that JavaScript knows: %j', (text, option) => {
    expect(faults({ file: fileWith(text) })).toEqual([expect.stringContaining(`${option}: there is no such option`)]);
    expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false);
  });

  it('of a flag cannot reach the prototype of everything', () => {
    expect(faults({ flags: { '__proto__.polluted': 'yes' } })).toEqual([expect.stringContaining('__proto__')]);
    expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false);
  });

  it.each([
    ['http: [1, 2', /flow|sequence|\]/i],
    ['- a\n- b\n', /must be a mapping of options/],
    ['just text', /must be a mapping of options/],
    ['http: 7\n', /^http: /],
  ])('of a file name the file or the section: %j', (text, expected) => {
    expect(faults({ file: fileWith(text) })).toEqual([expect.stringMatching(expected)]);
  });

  it('include a file that is not there', () => {
    expect(faults({ file: join(folder.path, 'nowhere.yaml') })).toEqual([expect.stringContaining('nowhere.yaml')]);
  });
});
