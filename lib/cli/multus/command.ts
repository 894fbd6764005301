import { CniError, messageOf } from '../../cni/errors.ts';
import type { Scope } from '../../cni/scope.ts';
import { type HealthAddress, type HealthServer, serveHealth } from '../../controller/health.ts';
import { makeMetrics } from '../../controller/metrics.ts';
import { readInCluster } from '../../kube/in-cluster.ts';
import type { Program } from '../program.ts';
import { isGoing } from './daemonset.ts';
import { restoreFiles, textSum } from './files.ts';
import { foldersOf, keepFiles, type Look } from './keep.ts';
import { type MultusInstall, nodePath } from './options.ts';
import { onNode, pathOnNode } from './start-check.ts';
import { watchFolders } from './watch.ts';

type Print = (line: string) => void;

const UNINSTALL_TIMEOUT_MS = 60_000;

/** What `braid install --multus` does once the programs are there. */
export async function keepNode(program: Program, install: MultusInstall, scope: Scope, tell: Print): Promise<void> {
  const sum = await textSum();
  const keep = (hasConf: boolean): Promise<Look> => keepFiles(install, { env: program.env, scope, hasConf, sum });
  if (!install.isWatching) {
    const { changed, lack } = await keep(true);
    report(install, changed, tell);
    if (lack !== '') {
      throw new CniError('internal', lack);
    }
    return;
  }
  const signal = program.stopSignal();
  await using health = makeHealth();
  if (install.address !== undefined) {
    await health.serve(install.address, tell);
  }
  let isConfMade = false;
  let said = '';
  const look = async (): Promise<boolean> => {
    let seen: Look;
    try {
      seen = await keep(!(install.isConfKept && isConfMade));
    } catch (error) {
      seen = { changed: [], lack: messageOf(error) };
    }
    report(install, seen.changed, tell);
    if (seen.lack !== said) {
      scope.log(seen.lack === '' ? 'the configuration of multus is right again' : seen.lack);
    }
    said = seen.lack;
    isConfMade ||= seen.lack === '';
    health.set(seen.lack === '');
    return seen.changed.length > 0;
  };
  await watchFolders({ folders: () => foldersOf(install), look, intervalMs: install.intervalMs, signal });
  await leave(program, install, scope, tell);
}

function report({ confDir, hostRoot }: MultusInstall, changed: readonly string[], tell: Print): void {
  if (changed.length > 0) {
    tell(`changed in "${nodePath(hostRoot, confDir)}": ${changed.join(', ')}`);
  }
}

function makeHealth() {
  let isRight = false;
  let server: HealthServer | undefined;
  return {
    set: (now: boolean): void => {
      isRight = now;
    },
    serve: async (address: HealthAddress, tell: Print): Promise<void> => {
      server = await serveHealth(address, { standing: () => (isRight ? 'right' : undefined), metrics: makeMetrics() });
      tell(`serves /healthz, /readyz and /metrics on port ${server.port}`);
    },
    [Symbol.asyncDispose]: async (): Promise<void> => server?.[Symbol.asyncDispose](),
  };
}

/** An update must leave the node as it is: pods that start meanwhile would lack their networks. */
async function leave(program: Program, install: MultusInstall, scope: Scope, tell: Print): Promise<void> {
  const { daemonset, isCleanedUp } = install;
  const isUninstalled = daemonset !== undefined && (await isGone(program, install, daemonset, scope));
  if (!isUninstalled && !isCleanedUp) {
    tell('leaves the node as it is');
    return;
  }
  const fates = restoreFiles(install.confDir, await textSum()) ?? {};
  tell(`restored "${nodePath(install.hostRoot, install.confDir)}": ${Object.keys(fates).join(', ') || 'nothing'}`);
  if (isUninstalled && install.hasPrograms) {
    await removePrograms(program, install, scope, tell);
  }
}

async function isGone(
  { env }: Program,
  { serviceAccount }: MultusInstall,
  name: NonNullable<MultusInstall['daemonset']>,
  scope: Scope,
): Promise<boolean> {
  const answer = await isGoing(() => readInCluster(env, serviceAccount), name);
  if (typeof answer === 'string') {
    scope.log(`cannot tell whether DaemonSet "${name.namespace}/${name.name}" is deleted: ${answer}`);
    return false;
  }
  return answer;
}

/** On the node: attachments, whose DEL needs the plugins, are found in its folders and namespaces. */
async function removePrograms(
  { env }: Program,
  { bin, confDir, hostRoot }: MultusInstall,
  scope: Scope,
  tell: Print,
): Promise<void> {
  const [path, ...words] = onNode(hostRoot, `${bin}/braid`, env);
  const folders = ['--bin', nodePath(hostRoot, bin), '--conf-dir', nodePath(hostRoot, confDir)];
  const told = await scope.execute({
    path,
    args: [...words, 'uninstall', ...folders],
    env: { PATH: pathOnNode(hostRoot, env) },
    stdin: Buffer.alloc(0),
    timeoutMs: UNINSTALL_TIMEOUT_MS,
  });
  if (told.exitCode === 0) {
    tell(told.stdout.toString('utf8').trimEnd());
  } else {
    scope.log(`the programs stay: ${told.stderr.toString('utf8').trimEnd()}`);
  }
}
