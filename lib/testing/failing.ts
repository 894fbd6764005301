/** For tests on the real kernel: makes one of a plugin's changes fail. */
import { CniError } from '../cni/errors.ts';
import { type Scope, scopeWith } from '../cni/scope.ts';
import { Conversation } from '../netlink/conversation.ts';
import { openTransport, type Transport } from '../netlink/transport.ts';
import type { Native } from '../netns/native.ts';
import type { Netns, Sysctl } from '../netns/netns.ts';
import type { Node } from '../node/node.ts';

/** Number of requested changes. */
export interface Seen {
  steps: number;
}

const FAILURE = 'made to fail';
/** No request of the kernel. */
const UNKNOWN_TYPE = 0x7fff;
const REFUSAL = 'EOPNOTSUPP';

/** Whether a failed call says that it was made to fail. */
export const isMadeToFail = (stdout: string): boolean => stdout.includes(FAILURE) || stdout.includes(REFUSAL);

/** The same scope, but the `nth` kernel request or sysctl write fails. */
export function failingAt(nth: number, seen: Seen): (scope: Scope) => Scope {
  const isNext = (): boolean => ++seen.steps === nth;
  const fail = (what: string): never => {
    throw new CniError('internal', `${FAILURE}: ${what}`);
  };
  const faulty = (netns: Netns, native: Native): Netns => {
    if (Object.hasOwn(netns, 'netlink')) {
      return netns; // shared with an outer call
    }
    const write = netns.writeSysctls.bind(netns);
    return Object.defineProperties(netns, {
      netlink: {
        value: new Conversation(() =>
          faultyTransport(openTransport(native, { nsFd: netns.descriptor, protocol: 0 }), isNext, fail),
        ),
      },
      writeSysctls: {
        value: (sysctls: readonly Sysctl[]) => {
          return isNext() ? fail(`sysctl ${sysctls.map(([name]) => name).join(' ')}`) : write(sysctls);
        },
      },
    });
  };
  return (scope) => {
    const { node } = scope;
    const failing = Object.create(node, {
      host: { value: faulty(node.host, node.native) },
      openNetns: { value: (path: string) => faulty(node.openNetns(path), node.native) },
    }) as Node;
    return scopeWith(scope, (own) => ({
      node: failing,
      removeLink: async (netns, index) => {
        using sound = node.openNetns(netns.path);
        await own.removeLink(sound, index);
      },
    }));
  };
}

/** Of several requests in one datagram the kernel refuses the one that is to fail, and goes on. */
function faultyTransport(inner: Transport, isNext: () => boolean, fail: (what: string) => never): Transport {
  const spoilt = (bytes: Buffer): Buffer => {
    for (let offset = 0; offset < bytes.length; offset += (bytes.readUInt32LE(offset) + 3) & ~3) {
      if (!isNext()) {
        continue;
      }
      if (bytes.readUInt32LE(0) === bytes.length) {
        fail(`request ${bytes.readUInt16LE(4)}`);
      }
      bytes.writeUInt16LE(UNKNOWN_TYPE, offset + 4);
    }
    return bytes;
  };
  return {
    send: (bytes) => inner.send(spoilt(bytes)),
    sendInBackground: async (bytes) => inner.sendInBackground(spoilt(bytes)),
    receive: (operation, timeoutMs) => inner.receive(operation, timeoutMs),
    receiveInBackground: (operation, timeoutMs) => inner.receiveInBackground(operation, timeoutMs),
    close: () => inner.close(),
  };
}

export interface Outcome {
  readonly exitCode: number;
  readonly stdout: string;
}

/**
 * Makes each step of a call fail once. If the call succeeds without an optional step, it is undone.
 *
 * @param call the call, with the scope changed
 * @param undo reverts a successful call
 * @param check verifies the original state
 * @returns stdout of the failed calls
 */
export async function failEachStep(
  call: (change: (scope: Scope) => Scope) => Promise<Outcome>,
  undo: () => Promise<unknown>,
  check: () => void | Promise<void>,
): Promise<readonly string[]> {
  const said: string[] = [];
  for (let nth = 1; ; nth++) {
    const seen = { steps: 0 };
    const { exitCode, stdout } = await call(failingAt(nth, seen));
    if (exitCode === 0) {
      await undo();
    } else {
      said.push(stdout);
    }
    await check();
    if (seen.steps < nth) {
      return said;
    }
  }
}
