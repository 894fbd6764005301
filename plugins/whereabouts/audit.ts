import { type Located, withoutPrefix } from '../../lib/cli/located.ts';
import type { SeenNetns } from '../../lib/cli/namespaces.ts';
import type { Container } from '../../lib/cli/scan.ts';
import { contains } from '../../lib/net/cidr.ts';
import { formatIp, parseIp } from '../../lib/net/ip.ts';
import type { IpReservation } from './cluster/objects.ts';
import type { Stored } from './cluster/pool-entries.ts';
import type { Held } from './pool.ts';
import { type PoolView, viewKey } from './pool-view.ts';
import { covers } from './spans.ts';
import type { Survey, SurveyedPool } from './survey/survey.ts';

/**
 * `leak`: reserved for a dead container, or a pod that is gone; `duplicate`: two containers have it; `unreserved`: in use,
 * and the next pod may get it too; `exposed`: a configured address that a pod may get; `unclear`: reserved for a container
 * that may be dead. Of a cluster only: `orphan`: kept from all ranges of a network, but no pool has it; `unprotected`: held,
 * but not kept from them; `unreadable`: not what plugins write.
 */
export type Kind =
  | 'leak'
  | 'duplicate'
  | 'unreserved'
  | 'exposed'
  | 'unclear'
  | 'orphan'
  | 'unprotected'
  | 'unreadable';

/** An inconsistency. */
export interface Trouble {
  readonly kind: Kind;
  readonly address: string;
  readonly pool: string;
  /** one sentence */
  readonly text: string;
  /** the reservation to free, since its container is dead */
  readonly dead?: { readonly view: PoolView; readonly held: Held };
  /** what --repair frees in a cluster */
  readonly inCluster?: ClusterFree;
}

/** Of one pool of a cluster, or of none. */
export interface ClusterFree {
  readonly survey: Survey;
  readonly entry?: { readonly pool: SurveyedPool; readonly stored: Stored };
  readonly reservation?: IpReservation;
}

export const isRepairable = ({ dead, inCluster }: Trouble): boolean => dead !== undefined || inCluster !== undefined;

export interface Known {
  readonly containers: readonly Container[];
  readonly namespaces: readonly SeenNetns[];
  readonly located: readonly Located[];
}

/** Compares reservations with records and namespaces. */
export function audit(views: readonly PoolView[], known: Known): readonly Trouble[] {
  return [
    ...views.flatMap((view) => leaksIn(view, known.containers)),
    ...reservedTwice(views),
    ...usedTwice(views, known),
    ...unreservedIn(views, known.containers),
    ...views.flatMap(exposedIn),
  ];
}

const heldOf = (view: PoolView): readonly Held[] => view.pool.held;

const ownerOf = ({ entry }: Held): string =>
  `${entry.podref === '' ? `container ${entry.id}` : entry.podref} ${entry.ifname}`.trim();

function leaksIn(view: PoolView, containers: readonly Container[]): readonly Trouble[] {
  const byId = new Map(containers.map((container) => [container.containerId, container]));
  return heldOf(view).flatMap((held): readonly Trouble[] => {
    const container = byId.get(held.entry.id);
    const address = formatIp(held.ip);
    const what = { address, pool: view.name };
    const text = `${address} is reserved for ${ownerOf(held)}`;
    switch (container?.state) {
      case 'dead':
        return [{ ...what, kind: 'leak', text: `${text}, which is dead: ${container.reason}`, dead: { view, held } }];
      case 'suspect':
      case 'unclear':
        return [{ ...what, kind: 'unclear', text: `${text}: ${container.reason}` }];
      default:
        return [];
    }
  });
}

/** The same address in two pools of a network: possible with `enable_overlapping_ranges` off. */
function reservedTwice(views: readonly PoolView[]): readonly Trouble[] {
  const all = views.flatMap((view) => heldOf(view).map((held) => ({ view, held })));
  const groups = Map.groupBy(all, ({ view, held }) => `${viewKey(view.place)} ${formatIp(held.ip)}`);
  return [...groups.values()].flatMap((group): readonly Trouble[] => {
    const owners = new Set(group.map(({ held }) => `${held.entry.id} ${held.entry.ifname}`));
    const [first] = group;
    if (owners.size < 2 || first === undefined) {
      return [];
    }
    const address = formatIp(first.held.ip);
    const where = group.map(({ view, held }) => `${ownerOf(held)} in pool "${view.name}"`).join(' and ');
    return [{ kind: 'duplicate', address, pool: first.view.name, text: `${address} is reserved twice: for ${where}` }];
  });
}

/**
 * In namespaces of our pods and the node's own. Other namespaces are none of our business, and neither is a pod that has
 * the address from another network's store: separate networks may use the same addresses.
 */
function usedTwice(views: readonly PoolView[], known: Known): readonly Trouble[] {
  const ours = new Set(known.containers.map(({ containerId }) => containerId));
  const inhabitants = Map.groupBy(
    known.located.filter(({ containerId }) => ours.has(containerId)),
    ({ netns }) => netns.identity,
  );
  const isOfOther = (view: PoolView, { value }: Held['ip'], { identity }: SeenNetns): boolean => {
    const ids = new Set(inhabitants.get(identity)?.map(({ containerId }) => containerId));
    const holds = ({ taken }: PoolView): boolean => ids.has(taken.get(value)?.id ?? '');
    return !holds(view) && views.some((other) => viewKey(other.place) !== viewKey(view.place) && holds(other));
  };
  const users = usersIn(known.namespaces.filter(({ isHost, identity }) => isHost || inhabitants.has(identity)));
  return views.flatMap((view) =>
    heldOf(view).flatMap(({ ip }): readonly Trouble[] => {
      const address = formatIp(ip);
      const own = (users.get(address) ?? []).filter((netns) => !isOfOther(view, ip, netns));
      if (own.length < 2) {
        return [];
      }
      const where = own.map(({ path, isHost }) => (isHost ? 'on the node itself' : `in "${path}"`)).join(' and ');
      return [{ kind: 'duplicate', address, pool: view.name, text: `${address} is in use twice: ${where}` }];
    }),
  );
}

/** Namespaces by the addresses that they have. */
function usersIn(namespaces: readonly SeenNetns[]): ReadonlyMap<string, readonly SeenNetns[]> {
  const users = new Map<string, SeenNetns[]>();
  for (const netns of namespaces) {
    for (const text of new Set(netns.addresses.map((address) => address.text))) {
      users.set(text, [...(users.get(text) ?? []), netns]);
    }
  }
  return users;
}

/** Addresses of live attachments to networks of our pools. */
function unreservedIn(views: readonly PoolView[], containers: readonly Container[]): readonly Trouble[] {
  return containers
    .filter(({ state }) => state === 'live')
    .flatMap(({ containerId, records }) =>
      records
        .filter(({ list }) => list !== undefined)
        .flatMap((record) =>
          record.addresses.flatMap((text): readonly Trouble[] => {
            const address = withoutPrefix(text);
            const pools = views.filter((view) => isFrom(view, address, JSON.stringify(record.list)));
            const [view] = pools;
            const isHeld = pools.some(({ taken }) => taken.get(parseIp(address)?.value ?? -1n)?.id === containerId);
            return view === undefined || isHeld || record.plugin === ''
              ? []
              : [
                  {
                    kind: 'unreserved',
                    address,
                    pool: view.name,
                    text: `${address} is in use by container ${containerId} ${record.ifName} but not reserved`,
                  },
                ];
          }),
        ),
    );
}

/** Could the address of a network with that configuration come from this pool? */
function isFrom({ pool, allowed, place }: PoolView, address: string, list: string): boolean {
  const ip = parseIp(address);
  return (
    ip !== undefined &&
    contains(pool.cidr, ip) &&
    covers(allowed, ip.value) &&
    list.includes('"whereabouts"') &&
    !list.includes(place.kind === 'file' ? '"kubeconfig"' : '"datastore":"file"') &&
    (place.networkName === '' || list.includes(JSON.stringify(place.networkName)))
  );
}

const exposedIn = ({ name, pool, statics, allowed }: PoolView): readonly Trouble[] =>
  statics
    .filter((value) => covers(allowed, value))
    .map((value): Trouble => {
      const address = formatIp({ family: pool.cidr.ip.family, value });
      const text = `${address} is a gateway or static address that a pod may get: exclude it`;
      return { kind: 'exposed', address, pool: name, text };
    });
