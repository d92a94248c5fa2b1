import { ConnectionCore } from "./connection.ts";
import { coded } from "./errors.ts";
import { Methods, withActions } from "./methods.ts";
import type { Target } from "./target.ts";
import type { Invoke } from "./transfer.ts";

/** A VM by its key or id. */
export class HandleCore extends Methods {
  readonly #target: Target;

  constructor(target: Target) {
    super();
    this.#target = target;
  }

  readonly invoke: Invoke = (action, args, signal) => this.#target.invoke(action, args, signal);

  connect(): object {
    return withActions(new ConnectionCore(this.#target));
  }

  /** Sends to an actor's queue; VMs have none. */
  async send(queue: string, body: unknown, options?: object): Promise<unknown> {
    return await this.#target.send(queue, body, options);
  }

  async resolve(): Promise<string> {
    return await coded(this.#target.raw.resolve());
  }

  async fetch(input: string | URL | Request, init?: RequestInit): Promise<Response> {
    return await coded(this.#target.raw.fetch(input, init));
  }

  async webSocket(path?: string, protocols?: string | string[]): Promise<unknown> {
    return await coded(this.#target.raw.webSocket(path, protocols));
  }

  async getGatewayUrl(): Promise<string> {
    return await coded(this.#target.raw.getGatewayUrl());
  }

  protected line() {
    const { channel } = this.#target;
    return { link: channel.link, invoke: channel.call.bind(channel), release: channel.hold() };
  }
}
