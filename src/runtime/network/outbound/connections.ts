import type { Socket } from "node:net";
import type { Report } from "../../reports.ts";
import { OutboundBudget, type OutboundLimits } from "./budget.ts";
import type { NetworkLog } from "./log.ts";
import { MeteredSocket, type Outside } from "./meter.ts";

/** A connection to the outside: a socket, or a stream to a client's machine. */
export type OutsideSocket = Outside & Pick<Socket, "bytesRead" | "bytesWritten">;

/** The other end of a connection. */
export interface OutsidePlace {
  /** `undefined` for a service of a client. */
  address: string | undefined;
  name: string | undefined;
  port: number;
  /** Whether an answer allowed it, and not a rule. */
  isPermitted: boolean;
}

interface Live extends OutsidePlace {
  /** The socket, or what the VM's program reads in its place. */
  outside: Outside;
}

/** Open outside connections of one VM, and the bytes that they and earlier ones have moved. */
export class OutsideConnections {
  readonly #log: NetworkLog;
  readonly #report: Report;
  readonly #budget: OutboundBudget;
  readonly #live = new Map<OutsideSocket, Live>();
  /** Bytes of outside connections that have ended. */
  #ended = { bytesOut: 0, bytesIn: 0 };

  constructor(log: NetworkLog, limits: OutboundLimits, report: Report) {
    this.#log = log;
    this.#budget = new OutboundBudget(limits, (reason) => this.#cutSpent(reason));
    this.#report = report;
  }

  get size(): number {
    return this.#live.size;
  }

  /** Adds the bytes of earlier instances of the VM to its limit. */
  spentBefore(bytes: number): void {
    this.#budget.meter.addBefore(bytes);
  }

  /** Whether each byte is counted while it passes, because a limit may stop it. */
  get isMetered(): boolean {
    return this.#budget.meter.isNeeded;
  }

  /** Counts a connection to be opened. @returns the limit that it exceeds */
  exceeded(): string | undefined {
    return this.#budget.exceeded();
  }

  /** Counts the bytes of a connection until it closes. @returns the stream for the VM's program */
  keep(socket: OutsideSocket, to: OutsidePlace, options: { allowHalfOpen: boolean }): Outside {
    const { meter } = this.#budget;
    const outside = meter.isNeeded ? new MeteredSocket(socket, meter, options) : socket;
    this.#live.set(socket, { ...to, outside });
    socket.once("close", () => {
      this.#report({ kind: "traffic", bytesOut: socket.bytesWritten, bytesIn: socket.bytesRead });
      if (this.#live.delete(socket)) count(this.#ended, socket);
    });
    return outside;
  }

  /** Cuts the connections that a new policy denies. */
  cut(isDenied: (place: OutsidePlace) => boolean): void {
    for (const live of this.#live.values()) if (isDenied(live)) live.outside.destroy();
  }

  /** Bytes of all outside connections since the last `resetTraffic`. */
  get traffic(): { bytesOut: number; bytesIn: number } {
    const total = { ...this.#ended };
    for (const socket of this.#live.keys()) count(total, socket);
    return total;
  }

  /** Begins to count the bytes of another boot. */
  resetTraffic(): void {
    this.#ended = { bytesOut: 0, bytesIn: 0 };
  }

  close(): void {
    for (const [socket, { outside }] of this.#live) {
      count(this.#ended, socket);
      outside.destroy();
      socket.destroy();
    }
    this.#live.clear();
  }

  /** Cuts every connection, because the VM has used up its bytes. */
  #cutSpent(reason: string): void {
    for (const [socket, { name, address, port, outside }] of this.#live) {
      this.#log.denied({ host: name ?? address ?? "", port, reason, code: "limit_exceeded" });
      outside.destroy();
      socket.destroy();
    }
  }
}

function count(total: { bytesOut: number; bytesIn: number }, socket: OutsideSocket): void {
  total.bytesOut += socket.bytesWritten;
  total.bytesIn += socket.bytesRead;
}
