import { connect, type Socket } from 'node:net';

/** The program that serves a socket before another takes its place: it leaves when it ends the connections that it has. */
export class Predecessor implements Disposable {
  private readonly connection: Socket;
  private readonly hasLeft: Promise<void>;

  private constructor(connection: Socket) {
    this.connection = connection;
    this.hasLeft = new Promise((resolve) => connection.once('close', () => resolve()));
    connection.resume(); // else its end is never read
  }

  /** @returns undefined when nobody listens there */
  static at(path: string): Promise<Predecessor | undefined> {
    return new Promise((resolve) => {
      const connection = connect(path, () => resolve(new Predecessor(connection)));
      connection.unref();
      connection.on('error', () => resolve(undefined));
    });
  }

  /** Waits until it has left, the time is over, or the signal fires. */
  async left(patienceMs: number, signal: AbortSignal): Promise<void> {
    const enough = Promise.withResolvers<void>();
    const timer = setTimeout(enough.resolve, patienceMs);
    signal.addEventListener('abort', () => enough.resolve(), { once: true });
    await Promise.race([this.hasLeft, enough.promise]);
    clearTimeout(timer);
  }

  [Symbol.dispose](): void {
    this.connection.destroy();
  }
}
