import { z } from 'zod';

/** `GET /broker`: where devices connect. */
export const Broker = z
  .object({
    mode: z.enum(['embedded', 'external']).meta({
      description: '`embedded`: the broker of this gateway; `external`: one elsewhere, where the gateway is a client',
    }),
    url: z.string().meta({
      description:
        'MQTT over TCP, or what `mqtt.external.url` says. 0.0.0.0 and [::] are every address of this machine',
      example: 'mqtt://192.168.1.20:1883',
    }),
    tlsUrl: z.string().nullable().meta({ description: 'MQTT over TLS; null where it is not offered' }),
    webSocketPath: z
      .string()
      .nullable()
      .meta({ description: 'MQTT over WebSocket, at the host and port of this API; null where it is not offered' }),
  })
  .meta({ id: 'Broker' });
export type Broker = z.output<typeof Broker>;
