/** The folders that a kubelet and its device plugins share. */
import { existsSync, type FSWatcher, statSync, watch } from 'node:fs';
import { join } from 'node:path';

export interface Kubelet {
  /** `/var/lib/kubelet` */
  readonly root: string;
}

/** Where sockets go: into the folder that kubelets watch, else into the older one, where a plugin registers itself. */
export function foldersOf({ root }: Kubelet) {
  const [watched, older] = [join(root, 'plugins_registry'), join(root, 'device-plugins')];
  const isWatched = existsSync(watched);
  return { folder: isWatched ? watched : older, older, isWatched, kubeletSocket: join(older, 'kubelet.sock') };
}

/** Of a socket, which tells it from another at its path: that may have its inode. */
export function identityOf(path: string): string | undefined {
  const found = statSync(path, { bigint: true, throwIfNoEntry: false });
  return found && `${found.ino} ${found.ctimeNs}`;
}

/** Calls when something in a folder changes, or the folder itself. */
export function watchFolder(folder: string, changed: () => void): FSWatcher {
  const watcher = watch(folder, { persistent: false }, changed);
  watcher.on('error', changed);
  return watcher;
}

/** What a kubelet that starts changes: its folders, and the socket that it listens on. */
export function tracesOf(kubelet: Kubelet): string {
  const { folder, older, kubeletSocket } = foldersOf(kubelet);
  const folders = [folder, older].map((path) => statSync(path, { throwIfNoEntry: false })?.ino);
  return [folder, ...folders, identityOf(kubeletSocket)].join();
}

/** Waits until a kubelet has left other traces than these, the signal fires, or the time is over. */
export async function traced(kubelet: Kubelet, before: string, { ms, signal }: Patience): Promise<void> {
  const done = Promise.withResolvers<void>();
  const look = (): void => {
    if (signal.aborted || tracesOf(kubelet) !== before) {
      done.resolve();
    }
  };
  const timer = setTimeout(done.resolve, ms);
  signal.addEventListener('abort', look, { once: true });
  const { folder, older } = foldersOf(kubelet);
  const watchers = [...new Set([kubelet.root, older, folder])]
    .filter((path) => existsSync(path))
    .map((path) => watchFolder(path, look));
  look();
  await done.promise;
  clearTimeout(timer);
  signal.removeEventListener('abort', look);
  for (const watcher of watchers) {
    watcher.close();
  }
}

interface Patience {
  readonly ms: number;
  readonly signal: AbortSignal;
}
