import {
  ApiError,
  type CollectionPath,
  type JsonPatch,
  type KubeApi,
  type KubeObject,
  type ObjectPath,
} from '../../../lib/kube/api.ts';

/** What becomes of one request; a late one is carried out after its caller has been told that nobody knows. */
export type Mishap = 'none' | 'lost request' | 'lost answer' | 'late' | 'refused' | 429 | 500 | 504 | 409;

export interface Request {
  readonly verb: 'GET' | 'LIST' | 'POST' | 'PATCH' | 'PUT' | 'DELETE';
  readonly plural: string;
  /** '' for lists */
  readonly name: string;
}

export interface FakeKubeOptions {
  /** asked before each request */
  readonly mishap?: (request: Request) => Mishap;
  /** how many turns of the event loop a way takes: requests and answers overtake each other */
  readonly delay?: () => number;
}

type Stored = KubeObject & Readonly<Record<string, unknown>>;

/**
 * An API server in memory, which does as the real one does: versions, tests of patches, preconditions, and all its ways to
 * fail. What it gives is what it has: nobody writes into objects.
 */
export class FakeKube implements KubeApi {
  readonly namespace = 'kube-system';
  readonly requests: Request[] = [];
  private readonly objects = new Map<string, Stored>();
  private options: FakeKubeOptions;
  private readonly version = { last: 100 };

  constructor(options: FakeKubeOptions = {}) {
    this.options = options;
  }

  use(options: FakeKubeOptions): void {
    this.options = options;
  }

  /** The same server for a client to whom other things happen. */
  as(options: FakeKubeOptions): KubeApi {
    return Object.assign(Object.create(this) as FakeKube, { options });
  }

  /** `GET 1, PATCH 2`, and from now on they count anew. */
  counted(): string {
    const verbs = Map.groupBy(this.requests.splice(0), ({ verb }) => verb);
    return [...verbs]
      .map(([verb, all]) => `${verb} ${all.length}`)
      .sort()
      .join(', ');
  }

  /** Puts an object there, or takes it away, as another client would. */
  put(plural: string, object: KubeObject): void {
    this.store(`${plural}/${object.metadata.name}`, clone(object) as Stored);
  }

  drop(plural: string, name: string): void {
    this.objects.delete(`${plural}/${name}`);
  }

  all<T extends KubeObject>(plural: string): readonly T[] {
    return [...this.objects].flatMap(([key, object]) => (key.startsWith(`${plural}/`) ? [object as never] : []));
  }

  get<T extends KubeObject>({ resource: { plural }, name }: ObjectPath): Promise<T> {
    return this.serve({ verb: 'GET', plural, name }, () => this.existing(plural, name) as unknown as T);
  }

  list<T extends KubeObject>({ resource: { plural } }: CollectionPath): Promise<readonly T[]> {
    return this.serve({ verb: 'LIST', plural, name: '' }, () => this.all<T>(plural));
  }

  create<T extends KubeObject>({ resource: { plural } }: CollectionPath, object: T): Promise<T> {
    const { name } = object.metadata;
    return this.serve({ verb: 'POST', plural, name }, () => {
      if (!/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(name)) {
        throw failure(422, 'Invalid', `${plural} "${name}" is invalid: metadata.name`);
      }
      if (this.objects.has(`${plural}/${name}`)) {
        throw failure(409, 'AlreadyExists', `${plural} "${name}" already exists`);
      }
      const metadata = { ...object.metadata, creationTimestamp: new Date().toISOString() };
      return this.store(`${plural}/${name}`, clone({ ...object, metadata }) as Stored) as unknown as T;
    });
  }

  patch<T extends KubeObject>(
    { resource: { plural }, name }: ObjectPath,
    patch: Parameters<KubeApi['patch']>[1],
  ): Promise<T> {
    return this.serve({ verb: 'PATCH', plural, name }, () => {
      const patched = clone(this.existing(plural, name));
      if (patch.type !== 'json' || !patch.body.every((op) => isApplied(patched, op))) {
        throw failure(422, 'Invalid', 'the server rejected our request due to an error in our request');
      }
      return this.store(`${plural}/${name}`, patched) as unknown as T;
    });
  }

  replace<T extends KubeObject>({ resource: { plural }, name }: ObjectPath, object: T): Promise<T> {
    return this.serve({ verb: 'PUT', plural, name }, () => {
      const { resourceVersion } = this.existing(plural, name).metadata;
      if ((object.metadata.resourceVersion ?? resourceVersion) !== resourceVersion) {
        throw failure(
          409,
          'Conflict',
          `operation cannot be fulfilled on ${plural} "${name}": the object has been modified`,
        );
      }
      return this.store(`${plural}/${name}`, clone(object) as unknown as Stored) as unknown as T;
    });
  }

  delete(
    { resource: { plural }, name }: ObjectPath,
    preconditions: Parameters<KubeApi['delete']>[1] = {},
  ): Promise<void> {
    return this.serve({ verb: 'DELETE', plural, name }, () => {
      const { uid, resourceVersion } = this.existing(plural, name).metadata;
      if (
        (preconditions.uid ?? uid) !== uid ||
        (preconditions.resourceVersion ?? resourceVersion) !== resourceVersion
      ) {
        throw failure(409, 'Conflict', `operation cannot be fulfilled on ${plural} "${name}": precondition failed`);
      }
      this.objects.delete(`${plural}/${name}`);
    });
  }

  private async serve<T>(request: Request, work: () => T): Promise<T> {
    this.requests.push(request);
    const mishap = this.options.mishap?.(request) ?? 'none';
    await this.turns();
    switch (mishap) {
      case 'refused':
        throw new ApiError('connect ECONNREFUSED', {});
      case 429:
        throw new ApiError('too many requests', { status: 429, reason: 'TooManyRequests', retryAfterMs: 3 });
      case 500:
        throw unknown('an error on the server', 500);
      case 409:
        if (request.verb !== 'PATCH' && request.verb !== 'PUT') {
          break; // what can be refused for its version is a change
        }
        throw failure(409, 'Conflict', 'the object has been modified');
      case 'lost request':
        throw unknown('socket hang up');
      case 'late':
        void this.turns(8).then(() => attempt(work));
        throw unknown('timed out');
      default:
        break;
    }
    const answer = work();
    await this.turns();
    if (mishap === 'lost answer' || mishap === 504) {
      throw unknown(`timed out after commit`, mishap === 504 ? 504 : undefined);
    }
    return answer;
  }

  private existing(plural: string, name: string): Stored {
    const object = this.objects.get(`${plural}/${name}`);
    if (object === undefined) {
      throw failure(404, 'NotFound', `${plural} "${name}" not found`);
    }
    return object;
  }

  private store(key: string, object: Stored): Stored {
    const resourceVersion = String(++this.version.last);
    const uid = this.objects.get(key)?.metadata.uid ?? `uid-${resourceVersion}`;
    const stored = { ...object, metadata: { ...object.metadata, uid, resourceVersion } };
    this.objects.set(key, stored);
    return stored;
  }

  private async turns(more = 0): Promise<void> {
    for (let left = (this.options.delay?.() ?? 0) + more; left > 0; left--) {
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}

const failure = (status: number, reason: string, message: string): ApiError =>
  new ApiError(message, { status, reason });
const unknown = (message: string, status?: number): ApiError =>
  new ApiError(message, { status, isOutcomeUnknown: true });

const clone = <T>(value: T): T => (value === undefined ? value : (JSON.parse(JSON.stringify(value)) as T));

function attempt(work: () => unknown): void {
  try {
    work();
  } catch {
    // nobody is there to be told
  }
}

/** RFC 6902 on an object, as the server's library has it: a test without a value, or for null, passes when nothing is there. */
function isApplied(object: object, { op, path, value }: JsonPatch[number]): boolean {
  const parts = path
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
  const last = parts.pop() as string;
  let parent = object as Record<string, unknown> | undefined;
  for (const part of parts) {
    parent = parent?.[part] as Record<string, unknown> | undefined;
  }
  if (parent === undefined || parent === null) {
    return false;
  }
  const there = Object.hasOwn(parent, last);
  switch (op) {
    case 'test':
      return JSON.stringify(parent[last] ?? null) === JSON.stringify(value ?? null);
    case 'remove':
      return there && delete parent[last];
    case 'replace':
      parent[last] = value;
      return there;
    case 'add':
      parent[last] = value;
      return true;
  }
}
