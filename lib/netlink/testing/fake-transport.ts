import { constants } from 'node:os';
import { NoAnswer } from '../errno.ts';
import type { Transport } from '../transport.ts';

/** One message of an answer; `sequence` is that of the request unless given. */
export interface Answer {
  readonly type: number;
  readonly flags?: number;
  readonly body: Buffer;
  readonly sequence?: number;
}

const NLMSG_ERROR = 2;

/** For tests: answers each datagram with the next given answer, or an acknowledgement if that is empty. */
export class FakeTransport implements Transport {
  readonly sent: Buffer[] = [];
  private readonly answers: (readonly Answer[])[];
  private sequence = 0;

  constructor(answers: readonly (readonly Answer[])[]) {
    this.answers = [...answers];
  }

  send(bytes: Buffer): void {
    this.sent.push(bytes);
    this.sequence = words(bytes)[2] ?? 0;
  }

  async sendInBackground(bytes: Buffer): Promise<void> {
    this.send(bytes);
  }

  receive(operation: string): Buffer {
    const answer = this.answers.shift();
    if (answer === undefined) {
      throw new NoAnswer(operation, constants.errno.ETIMEDOUT);
    }
    const acknowledged = answer.length === 0 ? [{ type: NLMSG_ERROR, body: Buffer.alloc(20) }] : answer;
    return Buffer.concat(acknowledged.map((message) => this.encode(message)));
  }

  async receiveInBackground(operation: string): Promise<Buffer> {
    return this.receive(operation);
  }

  close(): void {
    this.sent.length = 0;
  }

  private encode({ type, flags = 0, body, sequence = this.sequence }: Answer): Buffer {
    const head = Buffer.alloc(16);
    const halves = new Uint16Array(head.buffer, head.byteOffset, 8);
    words(head)[0] = 16 + body.length;
    halves[2] = type;
    halves[3] = flags;
    words(head)[2] = sequence;
    return Buffer.concat([head, body, Buffer.alloc(-body.length & 3)]);
  }
}

const words = (bytes: Buffer): Uint32Array => new Uint32Array(bytes.buffer, bytes.byteOffset, 4);
