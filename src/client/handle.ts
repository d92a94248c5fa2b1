import type { Ask, Ways } from "./bodies.ts";
import { ConnectionCore } from "./connection.ts";
import { type VmCore, withActions } from "./methods.ts";
import { coded } from "./rivet/errors.ts";
import type { QueueOptions } from "./rivet/raw.ts";
import type { Target } from "./target.ts";
import type { Invoke } from "./transfer.ts";

/** A VM by its key or id. */
export class HandleCore implements VmCore {
  readonly target: Target;

  constructor(target: Target) {
    this.target = target;
  }

  readonly invoke: Invoke = (action, args, signal) => this.target.invoke(action, args, signal);

  readonly ask: Ask = (path, init) => this.target.raw.fetch(path, init);

  readonly download: Ways["download"] = (path, options) => this.target.raw.download(path, options);

  get disposal(): AbortSignal {
    return this.target.disposal;
  }

  connect(): object {
    return withActions(new ConnectionCore(this.target));
  }

  async send(name: string, body: unknown, options?: QueueOptions): Promise<unknown> {
    return await coded(this.target.raw.send(name, body, options));
  }

  async resolve(): Promise<string> {
    return await coded(this.target.raw.resolve());
  }

  async fetch(input: string | URL | Request, init?: RequestInit): Promise<Response> {
    return await coded(this.target.raw.fetch(input, init));
  }

  async webSocket(path?: string, protocols?: string | string[]): Promise<unknown> {
    return await coded(this.target.raw.webSocket(path, protocols));
  }

  async getGatewayUrl(): Promise<string> {
    return await coded(this.target.raw.getGatewayUrl());
  }

  ended() {
    return this.target.link.ended();
  }

  line() {
    const target = this.target;
    const patient: Invoke = (action, args, signal) => target.call(action, args, signal, true);
    return { link: target.link, invoke: target.call.bind(target), patient, release: target.hold() };
  }
}
