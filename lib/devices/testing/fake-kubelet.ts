/** A kubelet, as a device plugin sees it: it finds sockets, or takes registrations, and follows lists of devices. */
import { existsSync, mkdirSync, readdirSync, rmSync, statSync, watch } from 'node:fs';
import { join } from 'node:path';
import {
  type Client,
  type ClientReadableStream,
  credentials,
  type MethodDefinition,
  makeClientConstructor,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServiceError,
  type sendUnaryData,
} from '@grpc/grpc-js';
import { written } from '../../grpc/protobuf.ts';
import type { ContainerAnswer, ListedDevice } from '../kubelet/messages.ts';
import { DEVICE_PLUGIN, KUBELET_REGISTRATION, PLUGIN_REGISTRATION } from '../kubelet/service.ts';

const DevicePlugin = makeClientConstructor(DEVICE_PLUGIN, 'DevicePlugin');
const Registration = makeClientConstructor(PLUGIN_REGISTRATION, 'Registration');
/** What has a path may be another server than before. */
const CONNECTED_ANEW = { 'grpc.use_local_subchannel_pool': 1 };

/** Of a file; a successor may have its inode. */
function identityOf(path: string): string {
  const found = statSync(path, { bigint: true, throwIfNoEntry: false });
  return `${found?.ino} ${found?.ctimeNs}`;
}

/** https://github.com/kubernetes/kubelet/blob/v0.36.3/pkg/apis/podresources/v1/api.proto: all by one container. */
const POD_RESOURCES: Readonly<Record<string, MethodDefinition<object, FakeKubelet['holders']>>> = {
  List: {
    path: '/v1.PodResourcesLister/List',
    requestStream: false,
    responseStream: false,
    requestSerialize: () => Buffer.alloc(0),
    requestDeserialize: () => ({}),
    responseSerialize: (holders) => {
      const devices = Object.entries(holders).map(([resource, ids]) =>
        written(2, Buffer.concat([written(1, resource), ...ids.map((id) => written(2, id))])),
      );
      const container = written(3, Buffer.concat([written(1, 'main'), ...devices]));
      return written(1, Buffer.concat([written(1, 'web'), written(2, 'default'), container]));
    },
    responseDeserialize: () => ({}),
  },
};

const listen = (server: Server, path: string): Promise<void> =>
  new Promise((resolve, reject) => {
    server.bindAsync(`unix:${path}`, ServerCredentials.createInsecure(), (error) =>
      error === null ? resolve() : reject(error),
    );
  });

/** A socket is there, it has been asked, it is taken, its devices are followed, and there is a list of them. */
export const STEPS = ['found', 'asked', 'taken', 'followed', 'listed'] as const;
export type Step = (typeof STEPS)[number];

function letGo({ stream, client }: Followed): void {
  stream.cancel();
  client.close();
}

interface Followed {
  readonly client: Client;
  readonly stream: ClientReadableStream<{ readonly devices: readonly ListedDevice[] }>;
  devices: readonly ListedDevice[] | undefined;
}

export class FakeKubelet implements AsyncDisposable {
  readonly root: string;
  /** words with which it refuses; undefined: it takes all */
  refusal: string | undefined;
  /** called at each step on the way to a list of devices */
  reached: (step: Step, resource: string) => void = () => undefined;
  /** by resource: what containers have */
  holders: Readonly<Record<string, readonly string[]>> = {};
  /** lists of devices that it has been told */
  lists = 0;
  /** registrations so far, by resource */
  readonly registrations: string[] = [];
  /** what had appeared in its folder, but was not there when it looked: it logs an error for each */
  readonly missed: string[] = [];
  /** it looks at its folder of plugins only when it is awake again */
  isAsleep = false;
  /** of all lists so far, the length of the shortest */
  fewest = Number.POSITIVE_INFINITY;
  private readonly isWatching: boolean;
  private readonly followed = new Map<string, Followed>();
  /** of registrations that others have replaced since */
  private readonly replaced = new Set<Followed>();
  private server: Server | undefined;
  private telling: Server | undefined;
  private watching: Disposable | undefined;
  private lookAround: () => void = () => undefined;

  /** @param isWatching it watches its folder of plugins; else they must register */
  constructor(root: string, isWatching = true) {
    this.root = root;
    this.isWatching = isWatching;
    mkdirSync(this.older, { recursive: true });
    if (isWatching) {
      mkdirSync(this.watched, { recursive: true });
    }
  }

  get older(): string {
    return join(this.root, 'device-plugins');
  }

  get watched(): string {
    return join(this.root, 'plugins_registry');
  }

  /** What it has been told last. */
  devices(resource: string): readonly ListedDevice[] | undefined {
    return this.followed.get(resource)?.devices;
  }

  async start(): Promise<void> {
    for (const name of readdirSync(this.older).filter((one) => one.endsWith('.sock'))) {
      rmSync(join(this.older, name));
    }
    this.server = new Server();
    this.server.addService(KUBELET_REGISTRATION, {
      Register: (
        { request }: ServerUnaryCall<{ endpoint: string; resourceName: string }, object>,
        answer: sendUnaryData<object>,
      ) => {
        if (this.refusal !== undefined) {
          answer({ code: 2, details: this.refusal });
          return;
        }
        this.reached('asked', request.resourceName);
        this.follow(request.resourceName, join(this.older, request.endpoint));
        this.reached('taken', request.resourceName);
        answer(null, {});
      },
    });
    await listen(this.server, join(this.older, 'kubelet.sock'));
    await this.tellHolders();
    if (this.isWatching) {
      this.watchFolder();
    }
  }

  private async tellHolders(): Promise<void> {
    this.telling = new Server();
    this.telling.addService(POD_RESOURCES, {
      List: (_: unknown, answer: sendUnaryData<FakeKubelet['holders']>) => answer(null, this.holders),
    });
    const folder = join(this.root, 'pod-resources');
    mkdirSync(folder, { recursive: true });
    rmSync(join(folder, 'kubelet.sock'), { force: true });
    await listen(this.telling, join(folder, 'kubelet.sock'));
  }

  /** Ends as a kubelet that is killed: sockets of others stay. */
  stop(): void {
    this.watching?.[Symbol.dispose]();
    this.server?.forceShutdown();
    this.telling?.forceShutdown();
    for (const resource of [...this.followed.keys()]) {
      this.drop(resource);
    }
    this.replaced.forEach(letGo);
    this.replaced.clear();
  }

  /** Loses the stream of a resource, which no kubelet opens again by itself. */
  drop(resource: string): void {
    const one = this.followed.get(resource);
    this.followed.delete(resource);
    if (one !== undefined) {
      letGo(one);
    }
  }

  wake(): void {
    this.isAsleep = false;
    this.lookAround();
  }

  /** Does not read what it is told for a while. */
  pause(resource: string): void {
    this.followed.get(resource)?.stream.pause();
  }

  resume(resource: string): void {
    this.followed.get(resource)?.stream.resume();
  }

  /** What one container gets. */
  allocate(resource: string, ids: readonly string[]): Promise<ContainerAnswer> {
    const request = { containerRequests: [{ devicesIds: ids }] };
    return this.call<{ readonly containerResponses: readonly ContainerAnswer[] }>(resource, 'Allocate', request).then(
      ({ containerResponses: [first] }) => first as ContainerAnswer,
    );
  }

  call<O>(resource: string, method: keyof typeof DEVICE_PLUGIN, request: object): Promise<O> {
    const client = this.followed.get(resource)?.client as InstanceType<typeof DevicePlugin> | undefined;
    return new Promise((resolve, reject) => {
      if (client === undefined) {
        throw new Error(`${resource} is not registered`);
      }
      client[method]?.(request, (error: ServiceError | null, answer: O) =>
        error === null ? resolve(answer) : reject(error),
      );
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stop();
  }

  private watchFolder(): void {
    let known = new Map<string, string>();
    const seen = new Set(readdirSync(this.watched));
    const look = (name?: string | null): void => {
      if (typeof name === 'string' && existsSync(join(this.watched, name))) {
        seen.add(name);
      } else if (typeof name === 'string' && !seen.has(name)) {
        this.missed.push(name);
      }
      this.lookAround();
    };
    this.lookAround = (): void => {
      if (this.isAsleep) {
        return;
      }
      const names = readdirSync(this.watched).filter((name) => !name.startsWith('.'));
      const there = new Map(names.map((name) => [name, identityOf(join(this.watched, name))]));
      const isNew = (name: string): boolean => known.get(name) !== there.get(name);
      const fresh = names.filter(isNew);
      known = there;
      for (const name of fresh) {
        this.reached('found', name);
        this.register(join(this.watched, name));
      }
    };
    const watcher = watch(this.watched, (_, name) => look(name));
    this.watching = { [Symbol.dispose]: () => watcher.close() };
    look();
  }

  private register(path: string): void {
    const client = new Registration(`unix:${path}`, credentials.createInsecure(), CONNECTED_ANEW);
    client['GetInfo']?.({}, (error: ServiceError | null, info: { name: string; endpoint: string }) => {
      if (error !== null) {
        client.close();
        return;
      }
      this.reached('asked', info.name);
      const status = { pluginRegistered: this.refusal === undefined, error: this.refusal ?? '' };
      client['NotifyRegistrationStatus']?.(status, () => client.close());
      if (this.refusal === undefined) {
        this.reached('taken', info.name);
        this.follow(info.name, info.endpoint.replace(/^\/var\/lib\/kubelet(?=\/)/, this.root)); // as the plugin sees it
      }
    });
  }

  /** One that watches its folder lets go of who had the socket before; to the other a registration is one more. */
  private follow(resource: string, path: string): void {
    const before = this.followed.get(resource);
    if (this.isWatching) {
      this.drop(resource);
    } else if (before !== undefined) {
      this.replaced.add(before);
    }
    const client = new DevicePlugin(`unix:${path}`, credentials.createInsecure(), CONNECTED_ANEW);
    const stream = client['ListAndWatch']?.({}) as Followed['stream'];
    const one: Followed = { client, stream, devices: undefined };
    stream.on('data', ({ devices }: { readonly devices: readonly ListedDevice[] }) => {
      one.devices = devices;
      this.lists++;
      this.reached('listed', resource);
      this.fewest = Math.min(this.fewest, devices.length);
    });
    // Whoever ends a stream, the kubelet of v1.36 lets go of who is registered then.
    const lost = (): void => {
      if (this.followed.get(resource) === one || this.replaced.delete(one)) {
        this.drop(resource);
      }
    };
    stream.on('error', lost);
    stream.on('end', lost);
    this.followed.set(resource, one);
    this.registrations.push(resource);
    this.reached('followed', resource);
  }
}
