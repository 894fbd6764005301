import { decodeLink, encodeLink, RTM_GETLINK, RTM_NEWLINK } from '../../netlink/codec/link.ts';
import type { Transport } from '../../netlink/transport.ts';

const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const NLM_F_DUMP = 0x300;
const HEADER_BYTES = 16;
const ENODEV = 19;

/** A fake kernel with links by name: it finds one, or lists all. */
export class FakeLinks implements Transport {
  /** names, in order of creation */
  readonly links: ReadonlySet<string>;
  private answer: Buffer = Buffer.alloc(0);

  constructor(links: ReadonlySet<string>) {
    this.links = links;
  }

  send(bytes: Buffer): void {
    this.answer = this.answerTo(bytes);
  }

  async sendInBackground(bytes: Buffer): Promise<void> {
    this.send(bytes);
  }

  receive(): Buffer {
    return this.answer;
  }

  async receiveInBackground(): Promise<Buffer> {
    return this.answer;
  }

  close(): void {}

  private answerTo(request: Buffer): Buffer {
    const [, typeAndFlags = 0, sequence = 0] = new Uint32Array(request.buffer, request.byteOffset, 4);
    const [type, flags] = [typeAndFlags & 0xffff, typeAndFlags >>> 16];
    if (type !== RTM_GETLINK) {
      throw new Error(`the fake kernel does not support request ${type}`);
    }
    if ((flags & NLM_F_DUMP) === NLM_F_DUMP) {
      const all = [...this.links].map((name) => linkMessage(sequence, name));
      return Buffer.concat([...all, message(NLMSG_DONE, sequence, [Buffer.alloc(4)])]);
    }
    const { ifName = '' } = decodeLink(request.subarray(HEADER_BYTES)).attributes;
    return this.links.has(ifName)
      ? linkMessage(sequence, ifName)
      : message(NLMSG_ERROR, sequence, [Buffer.from(Int32Array.of(-ENODEV).buffer), Buffer.alloc(16)]);
  }
}

const linkMessage = (sequence: number, ifName: string): Buffer =>
  message(RTM_NEWLINK, sequence, encodeLink({ index: 2 }, { ifName }));

function message(type: number, sequence: number, body: readonly Uint8Array[]): Buffer {
  const bytes = Buffer.concat(body);
  const header = Uint32Array.of(HEADER_BYTES + bytes.length, type, sequence, 0);
  return Buffer.concat([new Uint8Array(header.buffer), bytes, Buffer.alloc(-bytes.length & 3)]);
}
