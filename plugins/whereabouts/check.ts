import { CRI_OPTION } from '../../lib/cli/cri.ts';
import { NODE_OPTIONS, placesIn } from '../../lib/cli/node.ts';
import { readOptions } from '../../lib/cli/options.ts';
import { type Container, type ScanOptions, scanTwice, secondsIn, WAIT_OPTION } from '../../lib/cli/scan.ts';
import { count, table } from '../../lib/cli/table.ts';
import { messageOf } from '../../lib/cni/errors.ts';
import type { JsonObject } from '../../lib/cni/json.ts';
import type { Scope } from '../../lib/cni/scope.ts';
import type { Env } from '../../lib/sys/execute.ts';
import { audit, isRepairable, type Trouble } from './audit.ts';
import { openDatastore } from './datastore.ts';
import { type FilePlace, placeKey } from './place.ts';
import { type Held, isOf } from './pool.ts';
import type { PoolView } from './pool-view.ts';
import { damageOf, type Rebuilt, repairStore } from './repair.ts';
import { confsFor } from './stores.ts';
import { checkClusters } from './survey/check-clusters.ts';
import { CLUSTER_OPTIONS } from './survey/clusters.ts';
import { allDataDirs, viewsOf } from './views.ts';

type Print = (line: string) => void;

/** `braid ipam check`. The exit code is 0 when nothing is wrong, or nothing any more. */
export async function check(args: readonly string[], scope: Scope, print: Print, env?: Env): Promise<number> {
  const { values } = readOptions(args, {
    ...NODE_OPTIONS,
    ...CRI_OPTION,
    ...WAIT_OPTION,
    ...CLUSTER_OPTIONS,
    'data-dir': { type: 'string', multiple: true, default: [] },
    repair: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  });
  const tell: Print = values.json ? () => undefined : print;
  const places = { ...placesIn(values), confs: confsFor(values['data-dir']) };
  const options = { places, cri: values.cri, waitMs: secondsIn('wait', values.wait) * 1000 };
  const isNodeOptional = values.kubeconfig.length > 0 || values['in-cluster'];
  const { node, containers, evidence } = await scanned(scope, options, tell, isNodeOptional);
  const stores = await checkStores(scope, node.confs, values.repair ? containers : undefined);
  const look = () => viewsOf(scope, node.confs, stores.damaged);
  const { views, faults } = await look();
  const known = { containers, namespaces: evidence.namespaces, located: evidence.located };
  const troubles = audit(views, known);
  const repaired = values.repair ? await repair(scope, troubles) : { done: new Set<Trouble>(), faults: [] };
  const rest = repaired.done.size === 0 ? troubles : audit((await look()).views, known);
  const clusters = await checkClusters(
    { confs: node.confs, known, options: values, env, waitMs: options.waitMs, mayRepair: values.repair },
    scope,
    tell,
  );
  const allFaults = [...stores.faults, ...faults, ...repaired.faults, ...clusters.faults];
  for (const line of [...allFaults, ...clusters.unasked]) {
    scope.log(line);
  }
  const { rebuilt } = stores;
  const left = [...rest, ...clusters.troubles.filter((trouble) => !clusters.repaired.has(trouble))];
  const done = new Set([...repaired.done, ...clusters.repaired]);
  if (values.json) {
    const brief = ({ dead, inCluster, ...trouble }: Trouble) => ({
      ...trouble,
      repairable: isRepairable({ ...trouble, dead, inCluster } as Trouble),
    });
    const outcome = {
      troubles: left.map(brief),
      repaired: [...done].map(brief),
      rebuilt,
      faults: allFaults,
      notChecked: clusters.unasked,
    };
    print(JSON.stringify(outcome, null, 2));
  } else {
    reportRebuilt(rebuilt, print);
    report([...views, ...clusters.views], [...troubles, ...clusters.troubles], done, print);
  }
  return left.every(({ kind }) => kind === 'unclear') && allFaults.length === 0 ? 0 : 1;
}

const NOTHING = {
  node: { confs: [] },
  containers: [],
  evidence: { namespaces: [], located: [] },
} satisfies { readonly node: object; readonly containers: readonly Container[]; readonly evidence: object };

/** Who asks about a cluster may do so on a machine that is no node, or without being root. */
async function scanned(scope: Scope, options: ScanOptions, tell: Print, isOptional: boolean) {
  try {
    return await scanTwice(scope, options, tell);
  } catch (error) {
    if (!isOptional) {
      throw error;
    }
    scope.log(`${messageOf(error)}: this machine itself is not checked`);
    return NOTHING;
  }
}

/**
 * Looks at every row of every store.
 *
 * @param containers to rebuild damaged stores with; undefined leaves them
 */
async function checkStores(scope: Scope, confs: readonly JsonObject[], containers: readonly Container[] | undefined) {
  const faults: string[] = [];
  const damaged = new Set<string>();
  const rebuilt: Rebuilt[] = [];
  for (const dataDir of allDataDirs(confs)) {
    try {
      const damage = await damageOf(dataDir, scope);
      if (damage !== undefined && containers !== undefined) {
        rebuilt.push(await repairStore(dataDir, damage, containers, scope));
      } else if (damage !== undefined) {
        damaged.add(dataDir);
        faults.push(damage);
      }
    } catch (error) {
      damaged.add(dataDir);
      faults.push(messageOf(error));
    }
  }
  return { faults, damaged, rebuilt };
}

function reportRebuilt(rebuilt: readonly Rebuilt[], print: Print): void {
  for (const { dataDir, damage, reservations, proved, unproved, lost } of rebuilt) {
    print(damage);
    print(
      `rebuilt the store in "${dataDir}": ${count(reservations, 'reservation')}, ${proved} of them proved by living pods; ` +
        'the damaged files stay beside it (*.damaged)',
    );
    for (const text of unproved) {
      print(`not proved, and kept: ${text}`);
    }
    if (lost > 0) {
      print(`lost: ${count(lost, 'row')} whose addresses are free now, unless a living pod has them`);
    }
    print('');
  }
}

interface Leak {
  readonly trouble: Trouble;
  readonly place: FilePlace;
  readonly held: Held;
}

const leakOf = (trouble: Trouble): readonly Leak[] => {
  const { view, held } = trouble.dead ?? {};
  return held === undefined || view?.place.kind !== 'file' ? [] : [{ trouble, place: view.place, held }];
};

/** Frees what is reserved for containers that are gone, one step for each store, and nothing else. */
async function repair(scope: Scope, troubles: readonly Trouble[]) {
  const done = new Set<Trouble>();
  const faults: string[] = [];
  for (const group of Map.groupBy(troubles.flatMap(leakOf), ({ place }) => placeKey(place)).values()) {
    const [first] = group;
    try {
      if (first !== undefined) {
        await free(
          scope,
          first.place,
          group.map(({ held }) => held),
        );
      }
      for (const { trouble } of group) {
        done.add(trouble);
      }
    } catch (error) {
      faults.push(messageOf(error));
    }
  }
  return { done, faults };
}

/** Only what is still as it was seen: a pod may have come back under its address meanwhile. */
const free = (scope: Scope, place: FilePlace, held: readonly Held[]): Promise<void> =>
  openDatastore(place, scope).free((pools) => ({
    changes: held
      .filter(({ range, ip, entry }) =>
        pools.holdersOf(ip).some((now) => now.range === range && isOf(entry)(now.entry)),
      )
      .map((one) => ({ op: 'remove', ...one })),
    answer: undefined,
  }));

function report(
  views: readonly PoolView[],
  troubles: readonly Trouble[],
  repaired: ReadonlySet<Trouble>,
  print: Print,
): void {
  if (troubles.length > 0) {
    const rows = troubles.map((trouble) => [
      repaired.has(trouble) ? `${trouble.kind}, repaired` : trouble.kind,
      trouble.pool,
      trouble.text,
    ]);
    for (const line of table(['KIND', 'POOL', 'WHAT'], rows)) {
      print(line);
    }
    print('');
  }
  const leaks = troubles.filter(isRepairable).length;
  const hint = leaks > repaired.size ? '; --repair frees what is reserved for those that are gone' : '';
  const taken = views.reduce((sum, view) => sum + view.taken.size, 0);
  print(
    `${count(taken, 'reservation')} in ${count(views.length, 'pool')}: ` +
      `${troubles.length === 0 ? 'all is well' : count(troubles.length, 'trouble')}` +
      `${repaired.size === 0 ? '' : `, ${repaired.size} repaired`}${hint}`,
  );
}
