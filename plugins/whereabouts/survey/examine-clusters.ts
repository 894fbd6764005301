import { count } from '../../../lib/cli/table.ts';
import { messageOf } from '../../../lib/cni/errors.ts';
import type { Finding } from '../../../lib/cni/findings.ts';
import type { JsonObject } from '../../../lib/cni/json.ts';
import type { Scope } from '../../../lib/cni/scope.ts';
import { ApiError, type KubeApi, type KubeObject } from '../../../lib/kube/api.ts';
import { readKubeconfig } from '../../../lib/kube/kubeconfig.ts';
import { inParallel } from '../cluster/context.ts';
import { poolsIn } from '../cluster/objects.ts';
import { clusterConfiguredIn } from '../configured.ts';
import type { PoolView } from '../pool-view.ts';
import { allDataDirs } from '../views.ts';
import { clusterViews } from './cluster-views.ts';
import { type Cluster, closing, openClusters } from './clusters.ts';
import { readJournals } from './node-journals.ts';
import { type Survey, survey } from './survey.ts';
import { expiryOf } from './token.ts';

export interface ExaminedClusters {
  readonly views: readonly PoolView[];
  readonly findings: readonly Finding[];
}

/** What keeps configurations from the pools of their clusters. */
export async function examineClusters(scope: Scope, confs: readonly JsonObject[]): Promise<ExaminedClusters> {
  const configured = clusterConfiguredIn(confs, () => undefined);
  const findings: Finding[] = [...(await backlog(scope, confs))];
  const paths = [...new Set(configured.map(({ kubeconfig }) => kubeconfig))];
  for (const path of paths) {
    findings.push(...(await kubeconfigFindings(path)));
  }
  const { clusters } = await openClusters({ kubeconfig: [], 'in-cluster': false, namespace: '' }, configured);
  using _ = closing(clusters);
  const views: PoolView[] = [];
  for (const cluster of clusters) {
    try {
      const seen = await survey(cluster, configured);
      views.push(...clusterViews(seen));
      findings.push(
        ...seen.unreadable.map(({ text }) => ({
          level: 'warning' as const,
          text,
          fix: 'look at it with "braid ipam check"',
        })),
        ...(await forbidden(cluster.api)),
        ...kindFindings(seen),
        ...(await elsewhere(cluster.api)),
      );
    } catch (error) {
      findings.push(findingOf(error, cluster));
    }
  }
  return { views, findings };
}

/** A file that cannot be used, or a token whose time is over. */
async function kubeconfigFindings(path: string): Promise<readonly Finding[]> {
  try {
    const { token } = await readKubeconfig(path);
    const expiry = token === undefined ? undefined : expiryOf(token);
    return expiry === undefined || expiry.getTime() > Date.now()
      ? []
      : [
          {
            level: 'fault',
            text: `the token of kubeconfig "${path}" has expired (${expiry.toISOString()}): no address can be given`,
            fix: 'write a new one; what installs whereabouts on nodes must renew it before it expires',
          },
        ];
  } catch (error) {
    return [
      {
        level: 'fault',
        text: `${messageOf(error)}: no address can be given`,
        fix: 'write the kubeconfig anew, or correct "kubernetes.kubeconfig"',
      },
    ];
  }
}

const [UNAUTHORIZED, FORBIDDEN, NOT_FOUND] = [401, 403, 404];

function findingOf(error: unknown, { name, server }: Cluster): Finding {
  const text = `${messageOf(error)}: no address can be given`;
  switch (error instanceof ApiError ? error.status : 0) {
    case undefined:
      return { level: 'fault', text, fix: `check that the API server runs, and that this node reaches "${server}"` };
    case UNAUTHORIZED:
      return { level: 'fault', text, fix: `write a valid token or certificate into kubeconfig "${name}"` };
    case FORBIDDEN:
      return { level: 'fault', text, fix: 'apply whereabouts-rbac.yaml, or bind its role to this user' };
    case NOT_FOUND:
      return { level: 'fault', text, fix: 'apply whereabouts-crds.yaml' };
    default:
      return { level: 'fault', text, fix: "look at the API server's log" };
  }
}

const kindFindings = ({ lacksReservations, configured }: Survey): readonly Finding[] =>
  lacksReservations && configured.some(({ protectOverlaps }) => protectOverlaps)
    ? [
        {
          level: 'fault',
          text: 'the cluster does not know overlappingrangeipreservations: no address can be given',
          fix: 'apply whereabouts-crds.yaml',
        },
      ]
    : [];

/** Nodes whose kubeconfigs name different namespaces know nothing of each other. */
async function elsewhere(api: KubeApi): Promise<readonly Finding[]> {
  try {
    const pools = await api.list({ ...poolsIn(api.namespace), namespace: undefined });
    const others = new Set(pools.map(({ metadata: { namespace = '' } }) => namespace));
    others.delete(api.namespace);
    return [...others].map((other) => ({
      level: 'warning',
      text: `there are pools in namespace "${other}" as well as in "${api.namespace}": nodes that use the one give the addresses of the other again`,
      fix: 'let the kubeconfigs of all nodes name one namespace, or delete pools that nobody uses',
    }));
  } catch (error) {
    if (error instanceof ApiError) {
      return []; // who may not look elsewhere has no finding there
    }
    throw error;
  }
}

/** What ADD and DEL do, by kind of objects. */
const NEEDED = [
  ['ippools', ['get', 'list', 'create', 'patch']],
  ['overlappingrangeipreservations', ['get', 'list', 'create', 'patch', 'delete']],
] as const;

interface AccessReview extends KubeObject {
  readonly spec: { readonly resourceAttributes: object };
  readonly status?: { readonly allowed?: boolean };
}

/** Asks the server itself; one that will not say has no finding. */
async function forbidden(api: KubeApi): Promise<readonly Finding[]> {
  const questions = NEEDED.flatMap(([resource, verbs]) => verbs.map((verb) => ({ resource, verb })));
  const refused = await inParallel(questions, async ({ resource, verb }) => {
    const attributes = { namespace: api.namespace, group: 'whereabouts.cni.cncf.io', resource, verb };
    return (await isAllowed(api, attributes)) ? [] : [`${verb} ${resource}`];
  });
  const verbs = refused.flat();
  return verbs.length === 0
    ? []
    : [
        {
          level: 'fault',
          text: `${count(verbs.length, 'right')} in "${api.namespace}" ${verbs.length === 1 ? 'is' : 'are'} missing (${verbs.join(', ')}): pods cannot be added or deleted`,
          fix: 'apply whereabouts-rbac.yaml, or bind its role to this user',
        },
      ];
}

async function isAllowed(api: KubeApi, resourceAttributes: object): Promise<boolean> {
  const path = {
    resource: { group: 'authorization.k8s.io', version: 'v1', plural: 'selfsubjectaccessreviews' },
    namespace: undefined,
  };
  try {
    const review: AccessReview = {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SelfSubjectAccessReview',
      metadata: { name: '' },
      spec: { resourceAttributes },
    };
    return (await api.create(path, review)).status?.allowed !== false;
  } catch (error) {
    if (error instanceof ApiError) {
      return true;
    }
    throw error;
  }
}

/** Deletions that are still to be finished. */
async function backlog(scope: Scope, confs: readonly JsonObject[]): Promise<readonly Finding[]> {
  try {
    return (await readJournals(scope, allDataDirs(confs)))
      .filter(({ waiting }) => waiting > 0)
      .map(({ waiting, file, kubeconfig }) => ({
        level: 'warning',
        text: `addresses of ${count(waiting, 'deleted attachment')} are still to be given back to the cluster of "${kubeconfig}" ("${file}")`,
        fix: 'the next call that reaches the API server gives them back: see whether it is reached',
      }));
  } catch (error) {
    return [{ level: 'warning', text: messageOf(error), fix: 'move the journal away: the pools are the truth' }];
  }
}
