import { hostname } from 'node:os';
import { messageOf } from '../cni/errors.ts';
import type { Scope } from '../cni/scope.ts';
import { runController } from '../controller/controller.ts';
import type { ControllerPart } from '../controller/part.ts';
import type { ReadAccess } from '../kube/access.ts';
import { readInCluster } from '../kube/in-cluster.ts';
import { readKubeconfig } from '../kube/kubeconfig.ts';
import { openWatchClient } from '../kube/watch.ts';
import { type HealthAddress, parseAddress } from '../observe/health.ts';
import { randomBytes } from '../sys/random.ts';
import { readOptions, WrongUsage } from './options.ts';
import { CONTROLLER_LEASE, type Program } from './program.ts';

const NAMESPACE = 'kube-system';
const ADDRESS = ':8080';
const NO_ADDRESS = 'none';

/** Each watch has one to itself. */
const CONNECTIONS = 16;
/** A page of pools takes its time. */
const TIMEOUT_MS = 30_000;

/** `braid controller` */
export async function controller(
  program: Program,
  all: readonly ControllerPart[],
  args: readonly string[],
  scope: Scope,
): Promise<number> {
  const { values } = readOptions(args, {
    kubeconfig: { type: 'string' },
    namespace: { type: 'string' },
    parts: { type: 'string' },
    address: { type: 'string', default: ADDRESS },
    lease: { type: 'string', default: CONTROLLER_LEASE },
    ...Object.fromEntries(
      all.flatMap(({ options = [] }) =>
        options.map(({ name, value }) => [name, { type: value === undefined ? 'boolean' : 'string' }] as const),
      ),
    ),
  });
  const parts = chosenParts(all, values.parts);
  checkOptions(parts, values);
  const address = addressIn(values.address);
  const signal = program.stopSignal();
  const readAccess = withNamespace(
    values.kubeconfig === undefined ? () => readInCluster(program.env) : () => readKubeconfig(values.kubeconfig ?? ''),
    values.namespace,
  );
  using client = await openWatchClient(readAccess, {
    namespace: NAMESPACE,
    connections: CONNECTIONS,
    timeoutMs: TIMEOUT_MS,
  });
  await runController({
    client,
    parts,
    options: values,
    lease: values.lease,
    identity: `${hostname()}_${randomBytes(8).toString('hex')}`,
    address,
    signal,
    log: scope.log,
  });
  return 0;
}

function chosenParts(all: readonly ControllerPart[], text: string | undefined): readonly ControllerPart[] {
  if (text === undefined) {
    return all;
  }
  const names = text.split(',').map((name) => name.trim());
  const unknown = names.find((name) => !all.some((part) => part.name === name));
  if (unknown !== undefined) {
    throw new WrongUsage(`unknown part "${unknown}": the parts are ${all.map(({ name }) => name).join(', ')}`);
  }
  return all.filter(({ name }) => names.includes(name));
}

function checkOptions(
  parts: readonly ControllerPart[],
  values: Parameters<NonNullable<ControllerPart['check']>>[0],
): void {
  for (const part of parts) {
    try {
      part.check?.(values);
    } catch (error) {
      throw new WrongUsage(messageOf(error), { cause: error });
    }
  }
}

function addressIn(text: string): HealthAddress | undefined {
  const address = text === NO_ADDRESS ? undefined : parseAddress(text);
  if (address === undefined && text !== NO_ADDRESS) {
    throw new WrongUsage(`"${text}" is not an address to listen at: write ":8080"`);
  }
  return address;
}

const withNamespace =
  (readAccess: ReadAccess, namespace: string | undefined): ReadAccess =>
  async () => {
    const access = await readAccess();
    return namespace === undefined ? access : { ...access, namespace };
  };
