/** One reading that a mapping takes out of a JSON payload. */
export interface MappedMetric {
  /** RFC 6901 pointer into the payload ("/temperature"), "" for the whole payload; `*` as a token stands for every member. */
  readonly path: string;
  /**
   * The metric's name; `{name}` inserts a part of the topic, `{*}` what the `*` of the path stood for (several joined
   * with dots). `$status` is no metric but the status of the device: true or "online", false or "offline".
   */
  readonly metric: string;
  /** value × scale + offset, for numbers. */
  readonly scale: number;
  readonly offset: number;
  /** Texts that stand for another value: `{"ON":true,"OFF":false}`. */
  readonly values: Readonly<Record<string, number | boolean | string>>;
  /** UCUM code or null. */
  readonly unit: string | null;
}

/**
 * How messages of a foreign device become readings: which topics, which part names the device, which members are
 * metrics. The user's own; from the configuration and from the catalog, the catalog's first.
 */
export interface Mapping {
  readonly name: string;
  /**
   * MQTT filter with named parts: `zigbee2mqtt/{device}`, `tele/{device}/SENSOR`, `shellies/{device}/relay/{channel}`,
   * `+` and a last `#` allowed. A part `{metric}` is the name of a bare value, and begins the names of all members of an
   * object when `metrics` is empty.
   */
  readonly topic: string;
  /** The device id; `{name}` inserts a part of the topic, characters that ids do not have becoming `-`. */
  readonly device: string;
  /**
   * How the payload is written. With other than `json` and `bare`, `metrics` must be empty; a bare value has the path "".
   * Without `metrics` a bare value is called as the topic goes on after the device, levels joined with dots.
   */
  readonly format: 'json' | 'bare' | 'senml' | 'senml-cbor' | 'influx' | 'native';
  /** Empty: every number, boolean and short text of the payload is a metric, nested names joined with dots. */
  readonly metrics: readonly MappedMetric[];
  /** RFC 6901 pointer to the time, or null: time of receipt. */
  readonly time: string | null;
  readonly timeFormat: 'ms' | 's' | 'rfc3339';
  /** Members that are no metrics, by pointer, when `metrics` is empty. */
  readonly ignore: readonly string[];
}
