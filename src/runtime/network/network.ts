import type { Socket } from "node:net";
import { AgentVmError, notSupported, vmStopped } from "../../api/errors.ts";
import type {
  NetworkLogEntry,
  NetworkMethods,
  NetworkPolicy,
  NetworkPolicyInfo,
  VmFetchOptions,
  VmFetchResponse,
  VmPort,
  WaitForPortOptions,
} from "../../api/methods/network.ts";
import type {
  NetworkAnswer,
  NetworkRequest,
  NetworkRequestMethods,
} from "../../api/methods/network-requests.ts";
import type {
  Preview,
  PreviewInfo,
  PreviewLogEntry,
  PreviewMethods,
  PreviewOptions,
} from "../../api/methods/previews.ts";
import type { SecretInfo, SecretMethods, VmSecret } from "../../api/methods/secrets.ts";
import type { Env } from "../../api/values.ts";
import { EndSignal } from "../../base/end-signal.ts";
import { checkPath } from "../filesystem/paths.ts";
import type { SandboxNetwork } from "../sandbox/network.ts";
import { capabilityOf, type Sandbox } from "../sandbox/sandbox.ts";
import type { VmServices } from "../vm-services.ts";
import { MAX_PREVIEW_CONNECTIONS } from "./limits.ts";
import {
  Outbound,
  type OutboundDeps,
  type OutboundOptions,
  type OutboundSeams,
} from "./outbound/outbound.ts";
import { PortWatch } from "./port-watch.ts";
import { PreviewLog } from "./previews/preview-log.ts";
import type { PreviewUpgrade } from "./previews/preview-proxy.ts";
import { PreviewServer } from "./previews/preview-server.ts";
import { Previews } from "./previews/previews.ts";
import { waitForPort } from "./readiness.ts";
import { AppPorts } from "./requests/app-ports.ts";
import type { StreamedResponse } from "./requests/fetch-stream.ts";
import { VmAgent } from "./requests/http-agent.ts";
import { PortRequests, type StreamedRequest } from "./requests/port-requests.ts";
import { type TunnelEnd, Tunnels } from "./tunnels.ts";

type NetworkDeps = OutboundDeps &
  Pick<VmServices, "sandbox" | "liveSandbox" | "upcomingSandbox" | "maxResultBytes" | "runtime">;

/** Codes of the errors of a port that does not answer. */
const UNANSWERED: ReadonlySet<string> = new Set(["ECONNREFUSED", "fetch_timeout", "port_timeout"]);

/** Network methods of one VM: ports, HTTP requests to them, preview URLs and the outbound policy. */
export class Network
  implements
    NetworkMethods,
    NetworkRequestMethods,
    Omit<PreviewMethods, "createSignedPreviewUrl" | "createPreview">,
    SecretMethods
{
  readonly #watch: PortWatch;
  readonly #previews: Previews;
  readonly #previewLog: PreviewLog;
  readonly #server: PreviewServer;
  readonly #outbound: Outbound;
  readonly #deps: NetworkDeps;
  readonly #requests: PortRequests;
  readonly #previewAgent: VmAgent;
  readonly #ports: AppPorts;
  /** Asked when nothing listens at a port. @returns `true` if something listens there now */
  onRefused: (port: number, signal: AbortSignal | undefined) => Promise<boolean> = async () => false;
  /** Describes the service of a port, for the error of a port that does not answer. */
  serviceNote: (port: number) => string | undefined = () => undefined;
  readonly #stopped = new AbortController();
  readonly #tunnels: Tunnels;

  constructor(deps: NetworkDeps, options: OutboundOptions, seams?: OutboundSeams) {
    this.#deps = deps;
    this.#previews = new Previews(deps.store, deps.sealer);
    this.#previewLog = new PreviewLog((entry) => deps.emit("previewRequest", entry));
    this.#outbound = new Outbound(deps, options, seams);
    this.#ports = new AppPorts((port, signal) => this.#connect(port, signal));
    this.#previewAgent = new VmAgent(this.#ports.connect, MAX_PREVIEW_CONNECTIONS);
    this.#server = new PreviewServer({
      previews: this.#previews,
      log: this.#previewLog,
      ports: this.#ports,
      kept: this.#previewAgent,
    });
    this.#tunnels = new Tunnels({ ports: this.#ports, connect: (end, signal) => this.#openEnd(end, signal) });
    this.#requests = new PortRequests(this.#ports, deps.maxResultBytes);
    this.#watch = new PortWatch({
      listening: () => deps.liveSandbox()?.network?.listening(),
      isBusy: () => deps.liveSandbox()?.processes?.isBusy(),
      emit: deps.emit,
    });
  }

  vmFetch(
    port: number,
    path: string,
    options: VmFetchOptions = {},
    signal?: AbortSignal,
  ): Promise<VmFetchResponse> {
    return this.#noting(port, this.#requests.fetch(port, path, options, [this.#stopped.signal, signal]));
  }

  /** Sends a request whose bodies are streams: see `PortRequests`. */
  fetchStream(
    port: number,
    path: string,
    { signal, ...request }: StreamedRequest & { signal: AbortSignal },
    respond: (response: StreamedResponse) => Promise<void>,
  ): Promise<void> {
    const send = (ends: AbortSignal) => this.#requests.stream(port, path, request, ends, respond);
    return this.#noting(port, this.#endOf(signal).during(send));
  }

  async listPorts(): Promise<VmPort[]> {
    const network = await this.#network("listPorts");
    const ports = await network.listening();
    this.#watch.update(ports);
    return ports;
  }

  waitForPort(port: number, options: WaitForPortOptions = {}, signal?: AbortSignal): Promise<void> {
    return this.#noting(port, this.listens(port, options, signal));
  }

  /** Waits for a port as `waitForPort`, for the service of the port itself. */
  listens(port: number, options: WaitForPortOptions, given?: AbortSignal): Promise<void> {
    return this.#endOf(given).during((signal) =>
      waitForPort(port, options, {
        listening: () => this.listPorts(),
        get: (to, path, timeoutMs) => this.vmFetch(to, path, { timeoutMs }, signal),
        signal,
      }),
    );
  }

  /** Creates a preview without its URLs, which only the HTTP server knows. */
  createPreview(port: number, options?: PreviewOptions): Promise<Omit<Preview, "url" | "pathUrl">> {
    return this.#previews.create(port, options);
  }

  expireSignedPreviewUrl(preview: string): Promise<void> {
    return this.#previews.expire(preview);
  }

  listPreviews(): Promise<PreviewInfo[]> {
    return this.#previews.list();
  }

  async getPreviewLog(preview?: string): Promise<PreviewLogEntry[]> {
    return this.#previewLog.entries(preview);
  }

  async setNetworkPolicy({ outbound }: NetworkPolicy): Promise<void> {
    await this.#outbound.change(outbound);
    await this.#apply();
  }

  async setSecrets(secrets: Record<string, VmSecret | null>): Promise<void> {
    await this.#outbound.secrets.set(secrets);
    await this.#apply();
  }

  /** Stores secrets of another VM before this VM boots, which applies them. */
  async takeSecrets(secrets: Record<string, VmSecret>): Promise<void> {
    await this.#outbound.secrets.set(secrets);
  }

  /** Returns the secrets of `setSecrets` with their values, for a fork. */
  ownSecrets(): Promise<Readonly<Record<string, VmSecret>>> {
    return this.#outbound.secrets.own();
  }

  listSecrets(): Promise<SecretInfo[]> {
    return this.#outbound.secrets.list();
  }

  async listNetworkRequests(): Promise<NetworkRequest[]> {
    return this.#outbound.questions.waiting;
  }

  async answerNetworkRequest(id: string, answer: NetworkAnswer): Promise<void> {
    this.#outbound.questions.answer(id, answer);
  }

  /** Bytes that have gone through the outbound proxy since the boot. */
  get traffic(): { bytesOut: number; bytesIn: number } {
    return this.#outbound.traffic;
  }

  getNetworkPolicy(): Promise<NetworkPolicyInfo> {
    return this.#outbound.info();
  }

  async getNetworkLog(): Promise<NetworkLogEntry[]> {
    return this.#outbound.log.entries;
  }

  denialsSince(time: number): NetworkLogEntry[] {
    return this.#outbound.log.since(time);
  }

  /** Serves a browser's request or WebSocket to a preview. Never rejects. */
  servePreview(...visit: Parameters<PreviewServer["serve"]>): Promise<void> {
    return this.#server.serve(...visit);
  }

  /** Serves a WebSocket to a port of the VM. Never rejects. @param over aborts when the client's access ends */
  servePort(port: number, visit: PreviewUpgrade, over: AbortSignal): Promise<void> {
    return this.#endOf(over).during((ends) => this.#tunnels.serveWebSocket(port, visit, ends));
  }

  /** Connects to a server in the VM, for a tunnel. The caller closes the connection, which allows half-open. */
  openTunnel(end: TunnelEnd, signal: AbortSignal): Promise<Socket> {
    return this.#endOf(signal).during((ends) => this.#tunnels.open(end, ends));
  }

  /** @throws AgentVmError `forbidden` if the policy does not allow programs to reach a client's service */
  async mayOffer(host: string, port: number): Promise<void> {
    const { capabilities, runtime } = this.#deps.runtime;
    if (!capabilities.has("network")) throw notSupported("tunnelOut", "network", runtime);
    const refusal = await this.#outbound.refuseOffer(host, port);
    if (refusal === undefined) return;
    throw new AgentVmError(
      "forbidden",
      `The VM's network policy does not allow ${host}:${port}: ${refusal}`,
      {
        hint: `Allow it first: setNetworkPolicy({ outbound: { allow: ["${host}:${port}"] } }).`,
      },
    );
  }

  /** Serves a preview request that arrives as a `Request` object. */
  fetchPreview(...visit: Parameters<PreviewServer["fetch"]>): Promise<Response> {
    return this.#server.fetch(...visit);
  }

  /** Starts the outbound proxy, if the policy needs one, before the VM runs its first program. */
  prepare(sandbox: Sandbox): Promise<void> {
    return this.#outbound.apply(sandbox);
  }

  /** Environment variables that point commands to the outbound proxy. */
  env(): Promise<Env> {
    return this.#outbound.env();
  }

  /** Polls for new ports while a program runs. */
  running(work: Promise<unknown>): void {
    this.#watch.during(work);
  }

  /** Ends what goes out of a VM that is down. The next boot applies the policy again. */
  down(): void {
    this.#outbound.down();
  }

  stop(): void {
    this.#stopped.abort(vmStopped());
    void this.#previews.close();
    this.#outbound.close();
    this.#watch.stop();
    this.#requests.close();
    this.#previewAgent.destroy();
  }

  /** Applies a change to the sandbox, if there is one. */
  async #apply(): Promise<void> {
    const sandbox = await this.#deps.upcomingSandbox();
    if (sandbox !== undefined) await this.#outbound.apply(sandbox);
  }

  /** Ends work when the VM stops or the caller aborts. */
  #endOf(given: AbortSignal | undefined): EndSignal {
    return new EndSignal([this.#stopped.signal, given]);
  }

  async #network(action: string): Promise<SandboxNetwork> {
    return capabilityOf(await this.#deps.sandbox(), "network", action);
  }

  /** Waits for a request, and adds the service of the port to an error that says that nothing answers. */
  async #noting<Result>(port: number, request: Promise<Result>): Promise<Result> {
    try {
      return await request;
    } catch (error) {
      if (!(error instanceof AgentVmError) || !UNANSWERED.has(error.code)) throw error;
      const note = this.serviceNote(port);
      if (note === undefined) throw error;
      throw new AgentVmError(error.code, `${error.message}. ${note}`, error.metadata);
    }
  }

  async #openEnd(end: TunnelEnd, signal: AbortSignal): Promise<Socket> {
    if ("port" in end) return await this.#connect(end.port, signal);
    const path = checkPath(end.socketPath, "connect", "socketPath");
    return await (await this.#network("Reaching a socket")).connectAt(path);
  }

  async #connect(port: number, signal?: AbortSignal) {
    const network = await this.#network("Reaching a port");
    try {
      return await network.connect(port, signal === undefined ? {} : { signal });
    } catch (error) {
      if (!(error instanceof AgentVmError) || error.code !== "ECONNREFUSED") throw error;
      if (await this.onRefused(port, signal)) return await network.connect(port, signal ? { signal } : {});
      const found = (await network.listening()).filter((socket) => socket.port === port);
      if (found.length === 0) throw error;
      const addresses = found.map(({ address }) => address).join(" and ");
      throw new AgentVmError("ECONNREFUSED", `${error.message}: the port listens only on ${addresses}`, {
        ...error.metadata,
      });
    }
  }
}
