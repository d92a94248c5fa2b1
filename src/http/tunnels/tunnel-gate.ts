import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { WebSocketServer } from "ws";
import { type AgentVmError, actorNotFound, unauthorized } from "../../api/errors.ts";
import { encodeMuxFrame, FRAME, MAX_FRAME_BYTES } from "../../base/mux/frames.ts";
import { assertNotDraining } from "../../monitoring/draining.ts";
import { refuseUpgrade } from "../../runtime/network/previews/refusals.ts";
import type { AccessRequest } from "../access.ts";
import type { AccessControl } from "../access-control.ts";
import { requireServed, type Visit, type VisitedActors, visitVm } from "../actor-visits.ts";
import { dropHeader } from "../drop-header.ts";
import { type Grant, reaches, requireRight, type VmName } from "../grant.ts";
import type { Stranger } from "../strangers.ts";
import { refuseTunnel } from "./refusal.ts";
import { TunnelConnection } from "./tunnel-connection.ts";
import { parseTunnel, type TunnelTarget } from "./tunnel-path.ts";
import type { Tunnels } from "./tunnels.ts";

interface TunnelGateDeps {
  access: AccessControl;
  tunnels: Tunnels;
  actors: VisitedActors;
  admit(message: object, request: AccessRequest): Promise<Grant>;
  /** Finds a VM of the server. */
  vmOf(actorId: string): VmName | undefined;
  /** Called with the code of each refusal. */
  onRefused(code: string): void;
}

/** Admits WebSockets of tunnels, and WebSockets to servers inside VMs, by the access policy and the right `network`. */
export class TunnelGate {
  readonly #deps: TunnelGateDeps;
  readonly #sockets = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: MAX_FRAME_BYTES,
  });

  constructor(deps: TunnelGateDeps) {
    this.#deps = deps;
  }

  /**
   * Takes an upgrade to a tunnel.
   *
   * @param stranger the connection, which is admitted with its request
   * @returns whether the upgrade is for a tunnel
   */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer, stranger: Stranger): boolean {
    const target = parseTunnel(request.url ?? "");
    if (target === undefined) return false;
    socket.on("error", () => socket.destroy());
    let grant: Grant | undefined;
    const decided = this.#admit(request, target)
      .then((admitted) => {
        stranger.admit(admitted);
        grant = admitted;
      })
      .catch((error: AgentVmError) => this.#refuse(request, socket, head, target, error));
    void stranger.during(decided).then(() => {
      if (grant === undefined) return;
      if (target.kind === "tunnel") this.#open(request, socket, head, target.actorId, grant);
      else void this.#forward(request, socket, head, target, grant);
    });
    return true;
  }

  async #admit(request: IncomingMessage, { actorId }: TunnelTarget): Promise<Grant> {
    const { url = "", headers } = request;
    const grant = await this.#deps.admit(request, {
      header: (name) => headers[name]?.toString(),
      path: url,
      external: true,
    });
    assertNotDraining();
    const vm = this.#deps.vmOf(actorId);
    if (vm === undefined || !reaches(grant, vm)) throw actorNotFound(actorId);
    requireRight(grant, { right: "network" }, { method: "tunnel" });
    return grant;
  }

  /** A client of a tunnel can only read a message. */
  #refuse(
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    { kind }: TunnelTarget,
    error: AgentVmError,
  ): void {
    this.#deps.onRefused(error.code);
    if (kind === "socket") return void refuseUpgrade(socket, error);
    this.#sockets.handleUpgrade(request, socket, head, (refused) => refuseTunnel(refused, error));
  }

  #open(request: IncomingMessage, socket: Duplex, head: Buffer, actorId: string, grant: Grant): void {
    const { access, tunnels, actors } = this.#deps;
    this.#sockets.handleUpgrade(request, socket, head, (accepted) => {
      const tunnel = new TunnelConnection(accepted, {
        actorId,
        tunnels,
        who: access.whoIs(grant),
        exists: () => actors.nameOf(actorId) !== undefined,
        visit: (work) => this.#visit(actorId, work),
      });
      let forget: () => void;
      try {
        forget = tunnels.add(actorId, tunnel);
      } catch (error) {
        return refuseTunnel(accepted, error as AgentVmError);
      }
      accepted.send(encodeMuxFrame(FRAME.opened, 0));
      access.opened({ id: tunnel.id, state: grant }, (reason) => tunnel.end(ended(reason)));
      void tunnel.closed.then(() => {
        forget();
        access.live.closed(tunnel.id);
      });
    });
  }

  /** Hands a WebSocket to a server inside the VM. */
  async #forward(
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    { actorId, port, path }: Extract<TunnelTarget, { kind: "socket" }>,
    grant: Grant,
  ): Promise<void> {
    const { access } = this.#deps;
    const id = crypto.randomUUID();
    const over = new AbortController();
    access.opened({ id, state: grant }, () => over.abort());
    // No program in a VM may see the client's credentials: cookies are the API's own too.
    for (const name of ["authorization", "cookie"]) dropHeader(request, name);
    const visit = { request, socket, head, path, prefix: "" };
    try {
      await this.#visit(actorId, async ({ vm, monitor }) => {
        const call = {
          who: access.whoIs(grant),
          method: "vmWebSocket",
          names: ["target"],
          args: [String(port)],
        };
        monitor.called({ ...call, error: undefined, ms: 0 });
        await vm.servePort(port, visit, over.signal);
      });
    } catch (error) {
      refuseUpgrade(socket, error as AgentVmError);
    } finally {
      access.live.closed(id);
    }
  }

  /** @throws AgentVmError if the VM does not wake */
  async #visit(actorId: string, visit: Visit): Promise<void> {
    requireServed(await visitVm(this.#deps.actors, actorId, visit), actorId);
  }
}

function ended(reason: "expired" | "revoked"): AgentVmError {
  return unauthorized(reason, `The token has ${reason === "expired" ? "expired" : "been revoked"}`);
}
