import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FreeingTransaction, Reserve } from '../../src/storage/sqlite/keeping/reserve.ts';
import { TransactionError } from '../../src/storage/sqlite/transaction.ts';
import { smallDisk } from '../support/small-disk.ts';
import { tempFolder } from '../support/temp-folder.ts';

let folder: ReturnType<typeof tempFolder>;
const full = (): TransactionError => new TransactionError('database or disk is full', 'rolled_back', 'full');
const locked = (): never => {
  throw new TransactionError('database is locked', 'rolled_back', 'busy');
};
const reservePath = (): string => join(folder.path, 'pulsegate.reserve');
const reserveOf = (bytes: number): Reserve => new Reserve(join(folder.path, 'pulsegate.db'), bytes);

beforeEach(() => {
  folder = tempFolder();
});
afterEach(() => folder.remove());

describe('the reserve', () => {
  it('is a file of bytes that do not compress, made once', () => {
    const reserve = reserveOf(100_000);
    expect(reserve.fill()).toBe(true);
    const bytes = readFileSync(reservePath());
    expect(bytes).toHaveLength(100_000);
    expect(gzipSync(bytes).length).toBeGreaterThan(99_000);
    expect(reserve.fill()).toBe(true);
    expect(readFileSync(reservePath()).equals(bytes)).toBe(true);
  });

  it('has another size when that is asked for, and is gone when none is', () => {
    reserveOf(100_000).fill();
    reserveOf(50_000).fill();
    expect(statSync(reservePath()).size).toBe(50_000);
    expect(reserveOf(0).fill()).toBe(true);
    expect(existsSync(reservePath())).toBe(false);
  });

  it('is given up once, and made again', () => {
    const reserve = reserveOf(10_000);
    expect(reserve.giveUp()).toBe(false);
    reserve.fill();
    expect(reserve.giveUp()).toBe(true);
    expect(existsSync(reservePath())).toBe(false);
    expect(reserve.giveUp()).toBe(false);
    expect(reserve.fill()).toBe(true);
  });

  it.skipIf(process.platform !== 'linux')('is not made on a disk that has no room for twice of it', () => {
    const disk = smallDisk(4 << 20);
    try {
      const reserve = new Reserve(join(disk.path, 'pulsegate.db'), 1 << 20);
      writeFileSync(join(disk.path, 'other'), new Uint8Array(3 << 20));
      expect(reserve.fill()).toBe(false);
      expect(existsSync(join(disk.path, 'pulsegate.reserve.part'))).toBe(false);
      rmSync(join(disk.path, 'other'));
      expect(reserve.fill()).toBe(true);
    } finally {
      disk.remove();
    }
  });
});

describe('writes that make room', () => {
  it('run again once the reserve is given up, and fail when there is none', () => {
    const reserve = reserveOf(10_000);
    reserve.fill();
    let runs = 0;
    const run = <T>(write: () => T): T => {
      runs++;
      if (existsSync(reservePath())) throw full();
      return write();
    };
    expect(new FreeingTransaction({ run }, reserve).run(() => 'done')).toBe('done');
    expect(runs).toBe(2);
    const always = new FreeingTransaction(
      {
        run: () => {
          throw full();
        },
      },
      reserve,
    );
    expect(() => always.run(() => 'done')).toThrow('full');
  });

  it('that fail for another reason leave the reserve alone', () => {
    const reserve = reserveOf(10_000);
    reserve.fill();
    expect(() => new FreeingTransaction({ run: locked }, reserve).run(() => 'done')).toThrow('locked');
    expect(existsSync(reservePath())).toBe(true);
  });
});
