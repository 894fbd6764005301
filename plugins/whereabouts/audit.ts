import { isOver, type Judged } from '../../lib/cli/judged.ts';
import { withoutPrefix } from '../../lib/cli/liveness.ts';
import type { SeenNetns } from '../../lib/cli/namespaces.ts';
import { contains } from '../../lib/net/cidr.ts';
import { formatIp, parseIp } from '../../lib/net/ip.ts';
import { folderOf } from './place.ts';
import { type Held, heldIn } from './pool.ts';
import type { PoolView } from './pool-view.ts';
import { has } from './spans.ts';

/**
 * `leak`: reserved for a container that is gone; `double`: two have it; `unreserved`: in use, and may be given to another;
 * `exposed`: a configured address that may be given to a pod; `unclear`: nothing tells whether the container is there.
 */
export type Kind = 'leak' | 'double' | 'unreserved' | 'exposed' | 'unclear';

/** Something that does not fit together. */
export interface Trouble {
  readonly kind: Kind;
  readonly address: string;
  readonly pool: string;
  /** one sentence */
  readonly text: string;
  /** the reservation that can go, since its container is gone */
  readonly dead?: { readonly view: PoolView; readonly held: Held };
}

export interface Known {
  readonly containers: readonly Judged[];
  readonly namespaces: readonly SeenNetns[];
}

/** Compares reservations with what is recorded and with what is in the namespaces. */
export function audit(views: readonly PoolView[], known: Known): readonly Trouble[] {
  const judged = new Map(known.containers.map((container) => [container.containerId, container]));
  return [
    ...views.flatMap((view) => leaksIn(view, judged)),
    ...doublesIn(views),
    ...views.flatMap((view) => doublesInUse(view, ownNamespaces(known))),
    ...unreservedIn(views, known.containers),
    ...views.flatMap(exposedIn),
  ];
}

/** By the names that records have for them: one namespace may have several. */
function ownNamespaces({ containers, namespaces }: Known): readonly SeenNetns[] {
  const paths = new Set(containers.flatMap(({ records }) => records.map(({ netns }) => realPath(netns))));
  return namespaces.filter(({ isHost, path }) => isHost || paths.has(realPath(path)));
}

const realPath = (path: string): string => path.replace(/^\/var\/run\//, '/run/');

const heldOf = (view: PoolView): readonly Held[] => heldIn(view.pool, () => true);

const ownerOf = ({ entry }: Held): string =>
  `${entry.podref === '' ? `container ${entry.id}` : entry.podref} ${entry.ifname}`.trim();

function leaksIn(view: PoolView, judged: ReadonlyMap<string, Judged>): readonly Trouble[] {
  return heldOf(view).flatMap((held): readonly Trouble[] => {
    const container = judged.get(held.entry.id);
    const address = formatIp(held.ip);
    const what = { address, pool: view.name };
    if (container === undefined || container.verdict === 'alive') {
      return [];
    }
    return isOver(container)
      ? [
          {
            ...what,
            kind: 'leak',
            text: `${address} is reserved for ${ownerOf(held)}, which is gone: ${container.because}`,
            dead: { view, held },
          },
        ]
      : [{ ...what, kind: 'unclear', text: `${address} is reserved for ${ownerOf(held)}: ${container.because}` }];
  });
}

/** The same address in two pools of a network: possible where the protection was off. */
function doublesIn(views: readonly PoolView[]): readonly Trouble[] {
  const all = views.flatMap((view) => heldOf(view).map((held) => ({ view, held })));
  const groups = Map.groupBy(all, ({ view, held }) => `${folderOf(view.place)} ${formatIp(held.ip)}`);
  return [...groups.values()].flatMap((group): readonly Trouble[] => {
    const owners = new Set(group.map(({ held }) => `${held.entry.id} ${held.entry.ifname}`));
    const [first] = group;
    if (owners.size < 2 || first === undefined) {
      return [];
    }
    const address = formatIp(first.held.ip);
    const where = group.map(({ view, held }) => `${ownerOf(held)} in pool "${view.name}"`).join(' and ');
    return [{ kind: 'double', address, pool: first.view.name, text: `${address} is reserved twice: for ${where}` }];
  });
}

/** In namespaces of recorded pods and the node's own: what others on the machine do with their networks is theirs. */
function doublesInUse(view: PoolView, namespaces: readonly SeenNetns[]): readonly Trouble[] {
  return heldOf(view).flatMap((held): readonly Trouble[] => {
    const address = formatIp(held.ip);
    const users = namespaces.filter(({ addresses }) => addresses.some(({ text }) => text === address));
    if (users.length < 2) {
      return [];
    }
    const where = users.map(({ path, isHost }) => (isHost ? 'the node itself' : `"${path}"`)).join(' and ');
    return [{ kind: 'double', address, pool: view.name, text: `${address} is in use twice: in ${where}` }];
  });
}

/** Only attachments that are there, and only what a plugin recorded as given by one of our pools' networks. */
function unreservedIn(views: readonly PoolView[], containers: readonly Judged[]): readonly Trouble[] {
  return containers
    .filter(({ verdict }) => verdict === 'alive')
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
    has(allowed, ip.value) &&
    list.includes('"whereabouts"') &&
    (place.networkName === '' || list.includes(JSON.stringify(place.networkName)))
  );
}

const exposedIn = ({ name, pool, statics, allowed }: PoolView): readonly Trouble[] =>
  statics
    .filter((value) => has(allowed, value))
    .map((value): Trouble => {
      const address = formatIp({ family: pool.cidr.ip.family, value });
      const text = `${address} is a gateway or a static address, and may be given to a pod: exclude it`;
      return { kind: 'exposed', address, pool: name, text };
    });
