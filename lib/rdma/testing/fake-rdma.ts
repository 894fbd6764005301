import {
  NETNS_EXCLUSIVE,
  RDMA_NLDEV_CMD_GET,
  RDMA_NLDEV_CMD_SET,
  RDMA_NLDEV_CMD_SYS_GET,
  RdmaTable,
} from '../../netlink/codec/rdma.ts';
import { Conversation } from '../../netlink/conversation.ts';
import { errnoError, NoAnswer } from '../../netlink/errno.ts';
import { type Answer, FakeTransport } from '../../netlink/testing/fake-transport.ts';
import type { Transport } from '../../netlink/transport.ts';

const ERROR = 2;
const DONE = { type: 3, body: Buffer.alloc(4) };
const ERRNO = { ENODEV: 19, EINVAL: 22, EOPNOTSUPP: 95, EPROTONOSUPPORT: 93 } as const;

/** A fake RDMA subsystem: devices with the path of their namespace. */
export class FakeRdma {
  /** of RDMA_NLDEV_SYS_ATTR_NETNS_MODE; undefined: the kernel has no such attribute */
  mode: number | undefined = NETNS_EXCLUSIVE;
  isLoaded = true;
  /** name, and path of the namespace */
  readonly devices = new Map<string, string>();
  /** namespaces, by fake descriptor */
  readonly namespaces: string[] = [];
  /** `list /pod`, `move rxe0 /host /pod` */
  readonly log: string[] = [];
  /** errno to refuse a request with, 0 for none; gets its log line */
  refuse: (what: string) => number = () => 0;
  /** number of moves to do without an answer */
  lostAnswers = 0;

  descriptorOf(path: string): number {
    const known = this.namespaces.indexOf(path);
    return known >= 0 ? known : this.namespaces.push(path) - 1;
  }

  /** The socket of a namespace. */
  netlink(path: string): Conversation {
    return new Conversation(() => {
      if (!this.isLoaded) {
        throw errnoError('open a netlink socket', ERRNO.EPROTONOSUPPORT);
      }
      return this.transport(path);
    });
  }

  private transport(path: string): Transport {
    let waiting: Buffer | undefined;
    return {
      send: (bytes) => {
        const answers = this.answer(path, bytes);
        const inner = new FakeTransport(answers === undefined ? [] : [answers]);
        inner.send(bytes);
        waiting = answers === undefined ? undefined : inner.receive('');
      },
      sendInBackground: () => Promise.reject(new Error('an RDMA request must be sent from inside')),
      receive: (operation) => {
        if (waiting === undefined) {
          throw new NoAnswer(operation, 110);
        }
        return waiting;
      },
      receiveInBackground: () => Promise.reject(new Error('not faked')),
      close: () => undefined,
    };
  }

  private answer(path: string, request: Buffer): readonly Answer[] | undefined {
    const attributes = RdmaTable.decode(request.subarray(16));
    switch (request.readUInt16LE(4)) {
      case RDMA_NLDEV_CMD_GET:
        return this.unlessRefused(`list ${path}`, () => [...this.listing(path), DONE]);
      case RDMA_NLDEV_CMD_SYS_GET:
        return this.unlessRefused('mode', () => [
          {
            type: RDMA_NLDEV_CMD_SYS_GET,
            body: Buffer.concat(RdmaTable.encode(this.mode === undefined ? {} : { netnsMode: this.mode })),
          },
        ]);
      case RDMA_NLDEV_CMD_SET: {
        const name = [...this.devices.keys()][(attributes.devIndex ?? 0) - 1] ?? '';
        const target = this.namespaces[attributes.netNsFd ?? -1] ?? '';
        return this.unlessRefused(`move ${name} ${path} ${target}`, () => this.move(name, path, target));
      }
      default:
        return [refusal(ERRNO.EINVAL)];
    }
  }

  private unlessRefused(what: string, answer: () => readonly Answer[] | undefined): readonly Answer[] | undefined {
    this.log.push(what);
    const errno = this.refuse(what);
    return errno === 0 ? answer() : [refusal(errno)];
  }

  private listing(path: string): readonly Answer[] {
    return [...this.devices].flatMap(([name, place], position) =>
      place === path || this.mode !== NETNS_EXCLUSIVE
        ? [
            {
              type: RDMA_NLDEV_CMD_GET,
              body: Buffer.concat(RdmaTable.encode({ devIndex: position + 1, devName: name })),
            },
          ]
        : [],
    );
  }

  private move(name: string, from: string, to: string): readonly Answer[] | undefined {
    if (this.mode !== NETNS_EXCLUSIVE) {
      return [refusal(ERRNO.EOPNOTSUPP)];
    }
    if (this.devices.get(name) !== from) {
      return [refusal(ERRNO.ENODEV)];
    }
    this.devices.set(name, to);
    return this.lostAnswers-- > 0 ? undefined : [];
  }
}

function refusal(errno: number): Answer {
  const body = Buffer.alloc(20);
  body.writeInt32LE(-errno);
  return { type: ERROR, body };
}
