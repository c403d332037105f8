import { Buffer } from 'node:buffer';
import { assert, integer, property, string, uint8Array } from 'fast-check';
import { Webhook } from 'standardwebhooks';
import { describe, expect, it } from 'vitest';
import { seededRandom, systemRandom } from '../../src/base/random.ts';
import { newWebhookSecret, parseWebhookSecret } from '../../src/domain/webhook-secret.ts';
import { signDelivery } from '../../src/webhooks/signature.ts';

const golden = {
  secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
  id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
  timestamp: 1_614_265_330,
  body: '{"test": 2432232314}',
  signature: 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
};

describe('the signature', () => {
  it('is the published vector of Standard Webhooks', () => {
    expect(signDelivery(golden, [golden.secret])).toBe(golden.signature);
  });

  it('is what the standardwebhooks package computes, whatever the body and the key', () => {
    assert(
      property(
        string({ unit: 'grapheme', maxLength: 300 }),
        uint8Array({ minLength: 24, maxLength: 64 }),
        integer({ min: 1, max: 4_000_000_000 }),
        (body, key, timestamp) => {
          const secret = `whsec_${Buffer.from(key).toString('base64')}`;
          const theirs = new Webhook(secret).sign(golden.id, new Date(timestamp * 1_000), body);
          expect(signDelivery({ id: golden.id, timestamp, body }, [secret])).toBe(theirs);
        },
      ),
    );
  });

  it('satisfies the holder of either secret while secrets rotate', () => {
    const secrets = [newWebhookSecret(seededRandom(1)), newWebhookSecret(seededRandom(2))];
    const timestamp = Math.floor(Date.now() / 1_000);
    const signature = signDelivery({ ...golden, timestamp }, secrets);
    const headers = {
      'webhook-id': golden.id,
      'webhook-timestamp': String(timestamp),
      'webhook-signature': signature,
    };
    expect(signature.split(' ')).toHaveLength(2);
    for (const secret of secrets) {
      expect(new Webhook(secret).verify(golden.body, headers)).toEqual({ test: 2_432_232_314 });
    }
    const stranger = new Webhook(newWebhookSecret(seededRandom(3)));
    expect(() => stranger.verify(golden.body, headers)).toThrow(/signature/i);
  });
});

describe('a secret', () => {
  it('is fresh every time and holds 32 bytes', () => {
    const secrets = Array.from({ length: 50 }, () => newWebhookSecret(systemRandom));
    expect(new Set(secrets).size).toBe(50);
    expect(secrets.map((secret) => parseWebhookSecret(secret).length)).toEqual(Array(50).fill(32));
  });

  it.each([
    ['', 'nothing'],
    ['MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', 'no prefix'],
    ['whsec_', 'no bytes'],
    [`whsec_${Buffer.alloc(23).toString('base64')}`, 'too few bytes'],
    [`whsec_${Buffer.alloc(65).toString('base64')}`, 'too many bytes'],
    ['whsec_MfKQ9r8GKYqrTwjUPD8I LPZIo2LaLaSw', 'a space'],
    ['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa!w', 'a character outside base64'],
  ])('%j is refused (%s)', (secret) => {
    expect(() => parseWebhookSecret(secret)).toThrow(/base64 of 24 to 64 bytes/);
  });
});
