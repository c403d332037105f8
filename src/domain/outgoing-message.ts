/** A message from the gateway to MQTT clients. */
export interface OutgoingMessage {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
  /** Only this device may get it though the topic does not name it (`v1/devices/me/…`); null: whoever is subscribed. */
  readonly device: string | null;
}
