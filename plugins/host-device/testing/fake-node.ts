/** A fake node and pod: tables of links and an empty sysfs. */
import { constants } from 'node:os';
import { join } from 'node:path';
import type { Scope } from '../../../lib/cni/scope.ts';
import { fakeScope } from '../../../lib/cni/testing/fake-scope.ts';
import { parseMac } from '../../../lib/net/mac.ts';
import { decodeLink, encodeLink, RTM_GETLINK } from '../../../lib/netlink/codec/link.ts';
import type { Conversation, Request } from '../../../lib/netlink/conversation.ts';
import { errnoError } from '../../../lib/netlink/errno.ts';
import { type Netns, NetnsMissing } from '../../../lib/netns/netns.ts';
import { type Temporary, temporaryFolder } from '../../../lib/sys/testing/temporary.ts';

/** A link as a test describes it; hardware is at 0000:65:02.3 by default. */
export interface FakeLink {
  readonly index?: number;
  readonly name: string;
  readonly alias?: string;
  readonly mac?: string;
  /** '' for hardware */
  readonly kind?: string;
  readonly parentDev?: string;
  readonly altNames?: readonly string[];
  readonly flags?: number;
  readonly permanentMac?: string;
  /** undefined: not reported by the kernel */
  readonly isImmutable?: boolean;
}

const NODE = 3;
const POD = 4;

export class FakeNamespace {
  links: readonly FakeLink[] = [];
  private readonly asked: string[];
  readonly netns: Netns;

  constructor(path: string, descriptor: number, asked: string[], move: (index: number, from: FakeNamespace) => void) {
    this.asked = asked;
    const netlink: Pick<Conversation, 'ask' | 'dump' | 'change'> = {
      ask: async (request) => this.answer(request),
      dump: async ({ type }) => (type === RTM_GETLINK ? this.links.map(answerOf) : []),
      change: async ({ operation, body, isSlow }) => {
        this.asked.push(operation);
        if (isSlow) {
          move(decodeLink(Buffer.concat(body)).index, this);
        }
      },
    };
    const netns = {
      path,
      descriptor,
      identity: `4:${descriptor}`,
      cookie: undefined,
      netlink,
      isSameAs: (other: Netns) => other.path === path,
      writeSysctls: () => [],
      [Symbol.dispose]: () => undefined,
    };
    this.netns = netns as unknown as Netns;
  }

  private answer({ body, operation }: Request): Buffer {
    const { index, attributes } = decodeLink(Buffer.concat(body));
    const name = attributes.ifName ?? attributes.altIfName;
    const link = this.links.find((one) =>
      name === undefined ? (one.index ?? 1) === index : one.name === name || one.altNames?.includes(name),
    );
    if (link === undefined) {
      throw errnoError(operation, constants.errno.ENODEV);
    }
    return answerOf(link);
  }
}

export class FakeNode implements Disposable {
  /** requests to the kernel and log lines, in order */
  readonly events: string[] = [];
  readonly node: FakeNamespace;
  readonly pod: FakeNamespace;
  readonly scope: Scope;
  /** change it to simulate a reboot */
  bootId = 'this boot';
  /** called before a link moves */
  onMove: () => void = () => undefined;
  /** paths of namespaces; others are missing */
  readonly paths: string[] = ['/pod'];
  private readonly folder: Temporary = temporaryFolder();

  constructor() {
    const move = (index: number, from: FakeNamespace): void => {
      this.onMove();
      const to = from === this.node ? this.pod : this.node;
      const moved = from.links.find((link) => (link.index ?? 1) === index);
      from.links = from.links.filter((link) => link !== moved);
      to.links = moved === undefined ? to.links : [...to.links, { ...moved, name: 'net1', alias: moved.name }];
    };
    this.node = new FakeNamespace('/node', NODE, this.events, move);
    this.pod = new FakeNamespace('/pod', POD, this.events, move);
    const bootId = (): string => this.bootId;
    this.scope = fakeScope({
      node: {
        get bootId() {
          return bootId();
        },
        host: this.node.netns,
        sysfs: join(this.folder.path, 'sys'),
        openNetns: (path) => {
          if (!this.paths.includes(path)) {
            throw new NetnsMissing(path);
          }
          return this.pod.netns;
        },
      },
      log: (line) => void this.events.push(line),
      sleep: async () => undefined,
    });
  }

  get records(): string {
    return join(this.folder.path, 'records');
  }

  [Symbol.dispose](): void {
    this.folder[Symbol.dispose]();
  }
}

function answerOf({ index = 1, name, alias = '', mac = '02:00:00:00:00:01', ...link }: FakeLink): Buffer {
  const { kind = '', parentDev = kind === '' ? '0000:65:02.3' : '', altNames = [], flags = 0 } = link;
  const { permanentMac = '', isImmutable } = link;
  return Buffer.concat(
    encodeLink(
      { index, flags },
      {
        address: Buffer.from(parseMac(mac) ?? []),
        ifName: name,
        mtu: 1500,
        ...(alias === '' ? {} : { ifAlias: alias }),
        ...(kind === '' ? {} : { linkInfo: { kind } }),
        ...(altNames.length === 0 ? {} : { propList: { altIfNames: [...altNames] } }),
        ...(parentDev === '' ? {} : { parentDevName: parentDev }),
        ...(permanentMac === '' ? {} : { permAddress: Buffer.from(parseMac(permanentMac) ?? []) }),
        ...(isImmutable === undefined ? {} : { netnsImmutable: Number(isImmutable) }),
      },
    ),
  );
}
