import type { KubeApi } from '../../../lib/kube/api.ts';
import { type PodFacts, type PodObject, podFacts, podNamed } from '../sweep/pods.ts';
import { found, podAt } from './asking.ts';

/** Requests at once. */
const AT_ONCE = 8;

/** What the server has of pods at this moment, with their status. */
export class LivePods {
  private readonly pods = new Map<string, PodFacts | undefined>();

  /**
   * Asks for each of them once. Who cannot be asked for is not known, which is not the same as gone.
   *
   * @param podrefs those that name no pod are passed over
   */
  static async read(
    api: KubeApi,
    podrefs: Iterable<string>,
    failed: (podref: string, error: unknown) => void,
  ): Promise<LivePods> {
    const live = new LivePods();
    const waiting = [...new Set(podrefs)];
    const work = async (): Promise<void> => {
      for (let podref = waiting.pop(); podref !== undefined; podref = waiting.pop()) {
        const pod = podNamed(podref);
        if (pod !== undefined) {
          try {
            const object = await found<PodObject>(api, podAt(pod.namespace, pod.name));
            live.pods.set(podref, object === undefined ? undefined : podFacts(object));
          } catch (error) {
            failed(podref, error);
          }
        }
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    return live;
  }

  isKnown(podref: string): boolean {
    return this.pods.has(podref);
  }

  /** @returns undefined when it is not there, or not known */
  get(podref: string): PodFacts | undefined {
    return this.pods.get(podref);
  }
}
