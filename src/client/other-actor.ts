import { connectionLost } from "../api/errors.ts";
import { RECONNECT_TIMEOUT_MS } from "../api/limits.ts";
import { Link } from "./link.ts";
import { LinkedConnection } from "./linked-connection.ts";
import { withCalls } from "./methods.ts";
import type { ActionRequest, QueueOptions, RawHandle } from "./rivet/raw.ts";

/** A handle of an actor that is not a VM, with every action as a method, as RivetKit's client has it. */
export class OtherActor {
  readonly #raw: RawHandle;
  readonly #open: Set<OtherConnection>;

  /** @param open the client's open connections, which it closes with `dispose()` */
  constructor(raw: RawHandle, open: Set<OtherConnection>) {
    this.#raw = raw;
    this.#open = open;
  }

  readonly action = (request: ActionRequest) => this.#raw.action(request);
  readonly send = (name: string, body: unknown, options?: QueueOptions) =>
    this.#raw.send(name, body, options);
  readonly resolve = () => this.#raw.resolve();
  readonly fetch = (input: string | URL | Request, init?: RequestInit) => this.#raw.fetch(input, init);
  readonly webSocket = (path?: string, protocols?: string | string[]) => this.#raw.webSocket(path, protocols);
  readonly getGatewayUrl = () => this.#raw.getGatewayUrl();

  connect(): object {
    const connection = new OtherConnection(this.#raw, this.#open);
    return withCalls([connection], (name, args) => connection.action({ name, args }));
  }
}

/** A connection to an actor that is not a VM. It reconnects by itself. An action waits for the connection. */
export class OtherConnection extends LinkedConnection {
  readonly #raw: RawHandle;
  readonly #link: Link;
  readonly #open: Set<OtherConnection>;
  #isDisposed = false;

  constructor(raw: RawHandle, open: Set<OtherConnection>) {
    const link = new Link(raw, { isVm: false });
    super(link, (error) => error.cause ?? error);
    this.#raw = raw;
    this.#link = link;
    this.#open = open;
    open.add(this);
    this.#link.open();
  }

  async action({ name, args }: ActionRequest): Promise<unknown> {
    if (this.#link.status !== "connected") await this.#connected();
    return await this.#link.action(name, args);
  }

  async send(name: string, body: unknown, options?: QueueOptions): Promise<unknown> {
    return await this.#raw.send(name, body, options);
  }

  get connectionId(): string | undefined {
    return this.connId;
  }

  async dispose(): Promise<void> {
    this.#isDisposed = true;
    this.#open.delete(this);
    await this.#link.close();
  }

  /** Resolves when there is a connection. @throws AgentVmError if the server refuses it or cannot be reached in time */
  async #connected(): Promise<void> {
    if (this.#isDisposed) throw connectionLost("The connection was disposed");
    this.#link.open();
    await new Promise<void>((resolve, reject) => {
      const settle = (conclude: () => void) => {
        clearTimeout(patience);
        for (const end of ends) end();
        conclude();
      };
      const ends = [
        this.#link.opened.add(() => settle(resolve)),
        this.#link.down.add((error) => {
          if (this.#link.status === "idle") settle(() => reject(error.cause ?? error));
        }),
        this.#link.statusChanged.add(() => {
          if (this.#isDisposed) settle(() => reject(connectionLost("The connection was disposed")));
        }),
      ];
      const patience = setTimeout(() => {
        settle(() => reject(connectionLost(`The server was not reachable for ${RECONNECT_TIMEOUT_MS} ms`)));
      }, RECONNECT_TIMEOUT_MS);
    });
  }
}
