/** Device plugins of a node: looks at it whenever the kernel says that something has changed, and offers what it has. */
import { join } from 'node:path';
import { messageOf } from '../cni/errors.ts';
import { setUp } from '../link/link.ts';
import { findLink } from '../link/observe.ts';
import type { Conversation } from '../netlink/conversation.ts';
import type { Native } from '../netns/native.ts';
import type { Netns } from '../netns/netns.ts';
import { Bell } from './bell.ts';
import { Configurations } from './configurations.ts';
import { Devlink, type DevlinkFacts } from './devlink.ts';
import type { KernelFacts } from './facts.ts';
import { Holdings } from './holdings.ts';
import { watchKernel } from './kernel-events.ts';
import { readKernelFacts } from './kernel-facts.ts';
import type { Kubelet } from './kubelet/folders.ts';
import type { Offering } from './kubelet/offer.ts';
import { NodeView } from './node-view.ts';
import { Offers } from './offers.ts';
import { NO_REPORT, type Report } from './report.ts';
import { Said } from './said.ts';
import type { Source } from './source.ts';
import { vdpaDevicesIn } from './vdpa.ts';

export interface DevicePluginParts {
  readonly sources: readonly Source[];
  readonly kubelet: Kubelet;
  /** in front of `/sys` */
  readonly root: string;
  readonly native: Native;
  /** when configurations are to be read again although no file seems to have changed */
  readonly onHangup?: ((call: () => void) => void) | undefined;
  /** waits for configurations that can be used, one by one; else each must be from the beginning */
  readonly isPatient?: boolean;
  /** who counts */
  readonly report?: Report;
  /** fires when a successor has begun: it is awaited, so that the kubelet is never without devices */
  readonly succession?: AbortSignal | undefined;
  /** the host's network namespace */
  readonly host: Pick<Netns, 'netlink' | 'genericNetlink' | 'descriptor'>;
}

/** Events come in bursts: a card with 64 VFs makes some hundred. */
const SETTLE_MS = 10;
/** After a look that has failed. */
const RETRY_MS = 1_000;

/** A successor may hand out nothing, or less. */
const HAND_OVER_MS = 10_000;
/** How often a node is looked at that is not as a configuration demands. */
const DEMAND_AGAIN_MS = 30_000;

/**
 * Hands out devices until the signal fires.
 *
 * @throws Error when a configuration cannot be used
 */
export async function runDevicePlugins(parts: DevicePluginParts, offering: Offering): Promise<void> {
  const { sources, native, host, report = NO_REPORT } = parts;
  const { log, now } = offering;
  const handedOver = new AbortController();
  const signal = AbortSignal.any([offering.signal, handedOver.signal]);
  const configurations = new Configurations(sources, log, parts.isPatient);
  const bell = new Bell();
  const ring = (): void => bell.ring();
  const holdings = new Holdings(parts.kubelet, signal, ring);
  const offers = new Offers(parts.kubelet, { ...offering, signal, report, followed: ring });
  const view = new NodeView(parts.root);
  const devlink = new Devlink(host.genericNetlink, join(parts.root, 'sys'));
  const said = new Said(log);
  let timer: NodeJS.Timeout | undefined;
  using _ = watchKernel(native, host.descriptor, (changes) => bell.ring(changes));
  using _watching = configurations.watch(ring);
  signal.addEventListener('abort', ring, { once: true });
  const handOver = async (): Promise<void> => {
    const late = new Promise((resolve) => setTimeout(resolve, HAND_OVER_MS).unref());
    await Promise.race([offers.handedOver(), late]);
    handedOver.abort(new Error('a successor hands out devices'));
  };
  parts.succession?.addEventListener('abort', handOver, { once: true });
  if (parts.succession?.aborted === true) {
    void handOver();
  }
  parts.onHangup?.(() => bell.ring('all'));
  bell.ring('all');
  let isNew = true;
  const look = async (isFirst: boolean): Promise<number> => {
    const changes = bell.silence();
    try {
      const isConfigured = await configurations.reread();
      isNew ||= isConfigured;
      // Who gets which device depends on the configuration: then it must be known what containers have.
      const asked = isNew ? holdings.asked() : holdings.soon(now());
      const needs = new Set(configurations.inUse.flatMap((source) => [...(source.needs ?? [])]));
      const [kernel, held] = await Promise.all([factsNow(parts, () => devlink.read(changes, needs)), asked]);
      const seen = view.look(kernel, changes);
      const looked = configurations.inUse.map((source) =>
        source.look({ devices: seen.devices, kernel, held, now: now() }),
      );
      await setUpAll(
        host.netlink,
        looked.flatMap(({ toSetUp = [] }) => toSetUp),
        log,
      );
      const resources = looked.flatMap((one) => one.resources);
      offers.set(resources);
      if (resources.length === 0 && looked.length > 0 && isNew) {
        log('no resource has a device yet');
      }
      isNew = false;
      report.looked(resources, held, configurations.files);
      said.keep(seen.faults);
      const demandMs = configurations.isWaiting ? DEMAND_AGAIN_MS : Number.POSITIVE_INFINITY;
      return Math.min(demandMs, ...looked.map((one) => one.againMs));
    } catch (error) {
      if (isFirst) {
        throw error;
      }
      // What is offered stays: the kubelet would take devices from its list, and pods with it.
      said.keep([`cannot look at the node: ${messageOf(error)}`]);
      bell.keep(changes);
      return RETRY_MS;
    }
  };
  try {
    for (let isFirst = true; ; isFirst = false) {
      await bell.heard();
      if (!isFirst) {
        await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
      }
      if (signal.aborted) {
        break;
      }
      const againMs = await look(isFirst);
      clearTimeout(timer);
      timer = againMs === Number.POSITIVE_INFINITY ? undefined : setTimeout(ring, againMs);
    }
  } finally {
    clearTimeout(timer);
    const isSucceeded = await offers.ended();
    const held = isSucceeded ? undefined : await holdings.atEnd();
    for (const source of configurations.inUse) {
      source.end(held);
    }
  }
}

async function factsNow(
  { host, root }: DevicePluginParts,
  ofDevlink: () => Promise<DevlinkFacts>,
): Promise<KernelFacts> {
  return { ...(await readKernelFacts(host.netlink)), ...(await ofDevlink()), vdpa: vdpaDevicesIn(join(root, 'sys')) };
}

/** Links of devices that containers share: nobody else sets them up. One that cannot be is said. */
async function setUpAll(netlink: Conversation, names: readonly string[], log: (line: string) => void): Promise<void> {
  for (const name of names) {
    try {
      const link = await findLink(netlink, name);
      if (link !== undefined && !link.isUp) {
        await setUp(netlink, link);
        log(`link "${name}" is set up`);
      }
    } catch (error) {
      log(messageOf(error));
    }
  }
}
