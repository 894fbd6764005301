/** Manifests in the cluster: ours of bundle/deploy, and CRDs as other versions have them. */
import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { loadAll } from 'js-yaml';
import type { Cluster } from './cluster.ts';
import { expectSuccess } from './request.ts';

const OK = 200;

const DEPLOY = join(import.meta.dirname, '../../bundle/deploy');

export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
}

/** A schema as far as it is changed here. */
interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema;
  readonly required?: readonly string[];
  readonly 'x-kubernetes-map-type'?: string;
}

interface Crd extends Manifest {
  readonly spec: { readonly versions: readonly { readonly schema: { readonly openAPIV3Schema: Schema } }[] };
}

/** ours · the Go plugin's, which track each address · those of its version 0.7, which drop `ifname` */
export type Variant = 'ours' | 'go' | 'old';

export const manifestsIn = (file: string): readonly Manifest[] =>
  loadAll(readFileSync(join(DEPLOY, file), 'utf8')) as Manifest[];

export const deployFiles = (): readonly string[] =>
  globSync(join(DEPLOY, '*.yaml'))
    .map((path) => basename(path))
    .sort();

/** The CRDs of whereabouts. An object that is made within two seconds after its CRD waits that long. */
export async function applyCrds(cluster: Cluster, variant: Variant = 'ours'): Promise<void> {
  const crds = (manifestsIn('whereabouts-crds.yaml') as readonly Crd[]).map((crd) => changed(crd, CHANGES[variant]));
  await Promise.all(
    crds.map(async (crd) => {
      await apply(cluster, crd);
      await untilEstablished(cluster, crd.metadata.name);
    }),
  );
}

/** The service account of whereabouts and what it may do. */
export async function applyRbac(cluster: Cluster): Promise<void> {
  for (const manifest of manifestsIn('whereabouts-rbac.yaml')) {
    await apply(cluster, manifest);
  }
}

/** The service account of the controller, what it may do, and its Deployment, which nobody here runs. */
export async function applyController(cluster: Cluster): Promise<void> {
  for (const manifest of manifestsIn('whereabouts-controller.yaml')) {
    await apply(cluster, manifest);
  }
}

/** As the one of multus, but for its words. */
const NADS = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'network-attachment-definitions.k8s.cni.cncf.io' },
  spec: {
    group: 'k8s.cni.cncf.io',
    scope: 'Namespaced',
    names: {
      kind: 'NetworkAttachmentDefinition',
      plural: 'network-attachment-definitions',
      singular: 'network-attachment-definition',
    },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: { spec: { type: 'object', properties: { config: { type: 'string' } } } },
          },
        },
      },
    ],
  },
};

/** The kind of objects in which multus finds networks. */
export async function applyNads(cluster: Cluster): Promise<void> {
  await apply(cluster, NADS);
  await untilEstablished(cluster, NADS.metadata.name);
}

/** As `kubectl apply --server-side` does. */
export async function apply({ send }: Cluster, manifest: Manifest): Promise<void> {
  const path = `${pathOf(manifest)}?fieldManager=conformance&force=true`;
  await expectSuccess(send(path, { method: 'PATCH', body: manifest, contentType: 'application/apply-patch+yaml' }));
}

/** Regular plurals are all that is needed. */
function pathOf({ apiVersion, kind, metadata: { name, namespace } }: Manifest): string {
  const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const scope = namespace === undefined ? '' : `/namespaces/${namespace}`;
  return `${root}${scope}/${kind.toLowerCase()}s/${name}`;
}

interface Established {
  readonly spec: {
    readonly group: string;
    readonly names: { readonly plural: string };
    readonly versions: readonly { readonly name: string }[];
  };
  readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
}

/** A server that says so may serve its objects a moment later. */
async function untilEstablished({ send }: Cluster, name: string): Promise<void> {
  const path = `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${name}`;
  for (;;) {
    const { spec, status } = await expectSuccess<Established>(send(path));
    if (status?.conditions?.some((condition) => condition.type === 'Established' && condition.status === 'True')) {
      const objects = spec.versions.map((version) => `/apis/${spec.group}/${version.name}/${spec.names.plural}`);
      const answers = await Promise.all(objects.map((one) => send(`${one}?limit=1`)));
      if (answers.every((answer) => answer.status === OK)) {
        return;
      }
    }
    await sleep(50);
  }
}

type Change = (schema: Schema) => Schema;

const asIs: Change = (schema) => schema;
const tracked: Change = ({ 'x-kubernetes-map-type': _, ...schema }) => schema;

/** `podref` was no duty of an allocation yet, and `containerid` still one of a reservation. */
const dropping: Change = (schema) => {
  const { properties = {}, required = [] } = schema;
  const { ifname, ...others } = properties;
  if (ifname === undefined) {
    return tracked(schema);
  }
  const duties = 'containerid' in others ? ['containerid', 'podref'] : required.filter((name) => name !== 'podref');
  return { ...schema, properties: others, required: duties };
};

const CHANGES: Readonly<Record<Variant, Change>> = { ours: asIs, go: tracked, old: dropping };

const changed = (crd: Crd, change: Change): Crd => ({
  ...crd,
  spec: {
    ...crd.spec,
    versions: crd.spec.versions.map((version) => ({
      ...version,
      schema: { openAPIV3Schema: everywhere(version.schema.openAPIV3Schema, change) },
    })),
  },
});

/** A change of a schema and of all in it. */
function everywhere(schema: Schema, change: Change): Schema {
  const { properties, additionalProperties, ...rest } = change(schema);
  return {
    ...rest,
    ...(properties === undefined
      ? {}
      : {
          properties: Object.fromEntries(
            Object.entries(properties).map(([name, value]) => [name, everywhere(value, change)]),
          ),
        }),
    ...(additionalProperties === undefined ? {} : { additionalProperties: everywhere(additionalProperties, change) }),
  };
}
