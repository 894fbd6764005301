import { constants } from 'node:os';
import type { Seeded } from '../../sys/testing/seeded.ts';
import { NoAnswer } from '../errno.ts';
import type { Transport } from '../transport.ts';

const ERROR = 2;
const DONE = 3;
const DUMP = 0x300;
const ACK = 4;
const HEADER_BYTES = 16;
const { ENODEV } = constants.errno;

/**
 * For tests: a kernel that echoes each request's body and misbehaves like the real one: background sends take time and
 * return in any order, answers arrive in pieces, mixed with those of abandoned exchanges.
 */
export class DisorderlyKernel {
  opened = 0;
  openNow = 0;
  /** background sends do not return */
  isStuck = false;
  private readonly random: Seeded;
  private readonly stuck: (() => void)[] = [];

  constructor(random: Seeded) {
    this.random = random;
  }

  open(): Transport {
    this.opened++;
    this.openNow++;
    const queue: Buffer[] = [];
    const answer = (bytes: Buffer): void => {
      for (let offset = 0; offset < bytes.length; offset += (bytes.readUInt32LE(offset) + 3) & ~3) {
        const request = bytes.subarray(offset, offset + bytes.readUInt32LE(offset));
        queue.push(this.stale(), ...this.answerTo(request, offset + request.length === bytes.length));
      }
    };
    const receive = (operation: string): Buffer => {
      const next = queue.shift();
      if (next === undefined) {
        throw new NoAnswer(operation, constants.errno.ETIMEDOUT);
      }
      return next;
    };
    return {
      send: answer,
      sendInBackground: async (bytes) => {
        await this.pause();
        answer(bytes);
        await this.pause();
      },
      receive,
      receiveInBackground: async (operation) => receive(operation),
      close: () => {
        this.openNow--;
      },
    };
  }

  /** Lets stuck sends return. */
  async unstick(): Promise<void> {
    for (const goOn of this.stuck.splice(0)) {
      goOn();
    }
    for (let turns = 0; turns < 12; turns++) {
      await new Promise(setImmediate);
    }
  }

  private async pause(): Promise<void> {
    if (this.isStuck) {
      await new Promise<void>((resolve) => {
        this.stuck.push(resolve);
      });
    }
    for (let turns = this.random.below(5); turns > 0; turns--) {
      await new Promise(setImmediate);
    }
  }

  /** Each message of an answer is a datagram, as with a full buffer. Of several requests it refuses those with "no". */
  private answerTo(request: Buffer, isLast: boolean): readonly Buffer[] {
    const [flags, sequence] = [request.readUInt16LE(6), request.readUInt32LE(8)];
    if (request.toString('latin1', HEADER_BYTES).startsWith('no')) {
      return [message(ERROR, sequence, Buffer.concat([Buffer.from(Int32Array.of(-ENODEV).buffer), Buffer.alloc(16)]))];
    }
    if (!isLast && (flags & ACK) === 0) {
      return [];
    }
    const echo = message(16, sequence, request.subarray(HEADER_BYTES));
    const ack = message(ERROR, sequence, Buffer.alloc(20));
    if ((flags & DUMP) === DUMP) {
      return [echo, message(DONE, sequence, Buffer.alloc(4))];
    }
    return (flags & ACK) === 0 ? [echo] : [ack];
  }

  private stale(): Buffer {
    return message(ERROR, 0xffff_0000 + this.random.below(0xffff), Buffer.alloc(20, 0xff));
  }
}

function message(type: number, sequence: number, body: Buffer): Buffer {
  const head = Buffer.alloc(HEADER_BYTES);
  head.writeUInt32LE(HEADER_BYTES + body.length, 0);
  head.writeUInt16LE(type, 4);
  head.writeUInt32LE(sequence, 8);
  return Buffer.concat([head, body, Buffer.alloc(-body.length & 3)]);
}
