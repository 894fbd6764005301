/** A group of processes for each node, in every hierarchy: what kubelets make is below it. */
import { existsSync, globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { until } from '../containerd/poll.ts';
import { execute, mustRun } from '../lab/execute.ts';

const ROOT = '/sys/fs/cgroup';

/** @returns the folders of the group */
export function makeGroup(name: string): readonly string[] {
  const hierarchies = existsSync(join(ROOT, 'cgroup.procs'))
    ? [ROOT]
    : globSync(join(ROOT, '*/cgroup.procs')).map((file) => dirname(file));
  return hierarchies.map((hierarchy) => {
    const folder = join(hierarchy, name);
    mkdirSync(folder, { recursive: true });
    for (const file of ['cpuset.cpus', 'cpuset.mems'].filter((one) => existsSync(join(folder, one)))) {
      if (hierarchy !== ROOT) {
        writeFileSync(join(folder, file), readFileSync(join(hierarchy, file))); // a new one has none
      }
    }
    return folder;
  });
}

/** Removes what is in groups, when its processes have been killed: a power cut leaves nothing of it. */
export async function clearGroups(folders: readonly string[]): Promise<void> {
  await until('groups to be empty', async () => {
    const find = ['find', ...folders, '-mindepth', '1', '-depth', '-type', 'd'];
    await execute([...find, '-exec', 'rmdir', '{}', '+']);
    return (await mustRun(find)) === '' ? true : undefined;
  });
}
