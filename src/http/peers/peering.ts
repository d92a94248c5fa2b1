import { randomUUID } from "node:crypto";
import type { Server } from "node:http";
import type { Server as Engine } from "../../client/rivet/config.ts";
import { cutConnections, limitBacklog } from "../../rivet/client-backlog.ts";
import type { Driver } from "../../rivet/driver.ts";
import { isCutOff, onCutOff } from "../../rivet/engine-contact.ts";
import { type EngineDriverOptions, engineDriver, type LocalActors } from "../../rivet/engine-driver.ts";
import type { AccessControl } from "../access-control.ts";
import type { Grant, VmName } from "../grant.ts";
import type { Admit } from "../http-gate.ts";
import type { Logger } from "../logger.ts";
import { Strangers } from "../strangers.ts";
import { EngineActors } from "./engine-actors.ts";
import { EngineList } from "./engine-list.ts";
import { Forwarder } from "./forward.ts";
import { MAX_PEER_STRANGERS, MAX_PEER_STRANGERS_PER_ADDRESS } from "./limits.ts";
import { guardPeers, listenForPeers, makePeerServer } from "./listener.ts";
import { ADDRESS, ServerFacts } from "./live-facts.ts";
import type { LiveFacts } from "./messages.ts";
import type { Peers } from "./options.ts";
import { PeerWatch } from "./peer-watch.ts";
import { Places } from "./places.ts";
import { PeerRouter } from "./router.ts";
import { PeerSeal } from "./seal.ts";

/** Pause between two lines of the log about refused requests. @unit ms */
const LOG_PAUSE_MS = 60_000;

/** The VMs that run in this process. */
interface LocalVms {
  /** Returns whether a VM runs, and neither starts nor ends. */
  isAwake(actorId: string): boolean;
  factsOf(actorId: string, options: { use: boolean }): Promise<LiveFacts> | undefined;
}

interface PeeringDeps {
  access: AccessControl;
  admit: Admit;
  isVm(name: string): boolean;
  reaches(grant: Grant, actorId: string): boolean;
  strangers: Strangers;
  log: Logger;
}

/** The part of a server that knows the other servers behind the engine. */
export class Peering {
  readonly actors: EngineActors;
  readonly places: Places;
  readonly list: EngineList;
  readonly #peers: Peers;
  readonly #server: string = randomUUID();
  readonly #seal: PeerSeal;
  readonly #forwarder: Forwarder;
  readonly #facts: ServerFacts;
  readonly #vms: LocalVms;
  #local: LocalActors | undefined;
  #toldAt = Number.NEGATIVE_INFINITY;

  constructor(peers: Peers, engine: Engine, vms: LocalVms) {
    this.#peers = peers;
    this.#vms = vms;
    this.#seal = new PeerSeal(peers.secret);
    this.actors = new EngineActors(engine);
    const self = { server: this.#server, url: peers.listener?.url };
    this.places = new Places({ seal: this.#seal, actors: this.actors, self });
    this.#forwarder = new Forwarder(this.#seal, peers.ca);
    this.#facts = new ServerFacts({
      ...{ seal: this.#seal, actors: this.actors, places: this.places, forwarder: this.#forwarder },
      server: this.#server,
      // The engine may have started the VM elsewhere.
      factsHere: (actorId, options) => (isCutOff() ? undefined : vms.factsOf(actorId, options)),
    });
    this.list = new EngineList(this.actors, this.#facts);
  }

  /** Returns RivetKit's driver for this server. */
  driver(options: Omit<EngineDriverOptions, "engine" | "store" | "nameOf" | "metadata">): Driver {
    const { actors, places } = this;
    const { endpoint, namespace, token } = actors.engine;
    const store = {
      look: (actorId: string) => actors.look(actorId),
      find: (vm: VmName) => actors.find(vm),
      make: (method: "POST" | "PUT", actor: VmName & { input?: unknown }) => actors.make(method, actor),
      failureOf: (actorId: string) => actors.failureOf(actorId),
      wake: async (actorId: string) => (await places.locate(actorId)) === "here",
    };
    const url = this.#peers.listener?.url;
    const { driver, local } = engineDriver({
      metadata:
        url === undefined ? {} : { [ADDRESS]: this.#seal.seal("address", { server: this.#server, url }) },
      ...{ ...options, store },
      engine: { endpoint, namespace, token },
      nameOf: (actorId) => actors.nameOf(actorId)?.name,
    });
    this.#local = local;
    return driver;
  }

  /**
   * Puts the routes to other servers in front of a server, and listens for requests of other servers.
   *
   * @param guard puts this server's own checks in front of the listeners of a server
   */
  async attach(
    server: Server,
    deps: PeeringDeps,
    guard: (server: Server, strangers: Strangers) => void,
  ): Promise<void> {
    const { listener } = this.#peers;
    const here = async (actorId: string) => {
      // The engine may have started the VM elsewhere.
      if (isCutOff()) return undefined;
      const vm = await this.#local?.here(actorId);
      if (vm === undefined) return undefined;
      this.actors.note(actorId, vm);
      // RivetKit still knows an actor that ends. Its next requests are for another server.
      return deps.isVm(vm.name) && !this.#vms.isAwake(actorId) ? undefined : vm;
    };
    const inner = listener && makePeerServer(listener);
    if (inner !== undefined) {
      for (const event of ["request", "upgrade"] as const)
        for (const each of server.listeners(event)) inner.on(event, each as () => void);
      const strangers = new Strangers({
        total: { MAX_PEER_STRANGERS },
        perAddress: { MAX_PEER_STRANGERS_PER_ADDRESS },
        // The other server counts the connections of its clients.
        perClient: Number.POSITIVE_INFINITY,
      });
      guard(inner, strangers);
      limitBacklog(inner);
      guardPeers(inner, {
        ...{ seal: this.#seal, server: this.#server, strangers, here },
        facts: (actorIds, use) => this.#facts.here(actorIds, use),
        admit: (request, grant) => deps.access.admitted(request, grant),
        onRefused: (reason) => this.#tell(deps.log, reason),
      });
      server.once("close", () => {
        inner.close();
        cutConnections(inner);
      });
    }
    guard(server, deps.strangers);
    const forwarder = this.#forwarder;
    const watch = new PeerWatch(forwarder);
    const { actors, places } = this;
    const router = new PeerRouter({ ...deps, actors, places, forwarder, watch, here });
    router.guard(server);
    // Calls under way would wait for the engine's storage. Clients and other servers find the VMs again.
    const forget = onCutOff(() => {
      router.cutServed();
      if (inner !== undefined) cutConnections(inner);
    });
    server.once("close", forget);
    if (inner !== undefined) await listenForPeers(inner, listener as NonNullable<typeof listener>);
  }

  #tell(log: Logger, reason: string): void {
    const now = performance.now();
    if (now - this.#toldAt < LOG_PAUSE_MS) return;
    this.#toldAt = now;
    log.warn({ reason, msg: "refused a request at the address for other servers" });
  }
}
