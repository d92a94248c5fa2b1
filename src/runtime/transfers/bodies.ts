import { transferNotFound } from "../../api/errors.ts";
import { BodyTurn } from "./body-turn.ts";
import type { TransferTable } from "./transfer-table.ts";

/** The bytes of a transfer out of the VM, from an offset on. */
export interface BodySource {
  /** Bytes that follow; `undefined` if that is not known. */
  readonly length: number | undefined;
  /** Fills a target with the next bytes. @returns their number: 0 only at the end */
  fill(target: Uint8Array): Promise<number>;
}

/** Where the body of a transfer out of the VM begins. */
export interface BodyStart {
  offset: number;
  /** Whether the bytes before the offset came over another connection. The file must be unchanged since. */
  isResumed: boolean;
}

/** A transfer out of the VM. */
export abstract class Outgoing {
  readonly turn = new BodyTurn();

  /** @throws AgentVmError `invalid_argument` for an offset that cannot be read; `file_changed` */
  abstract from(start: BodyStart): Promise<BodySource>;
  abstract close(): Promise<void>;
}

/** A transfer into the VM. */
export abstract class Incoming {
  readonly turn = new BodyTurn();

  /** Bytes that have arrived without a gap. */
  abstract readonly offset: number;
  /** @param data valid until this resolves */
  abstract write(offset: number, data: Uint8Array): Promise<void>;
  abstract close(): Promise<void>;
}

/** Carries the bytes of open transfers as HTTP bodies. */
export class TransferBodies {
  readonly #table: TransferTable;

  constructor(table: TransferTable) {
    this.#table = table;
  }

  /** @param send sends the bytes. Its signal aborts when a newer body takes over, or the transfer ends */
  send(
    transferId: string,
    start: BodyStart,
    send: (source: BodySource, signal: AbortSignal) => Promise<void>,
  ): Promise<void> {
    return this.#table.use(transferId, Outgoing, (transfer) =>
      transfer.turn.run(async (signal) => await send(await transfer.from(start), signal)),
    );
  }

  /**
   * @param receive passes the bytes that arrive, in order. Its signal aborts as for `send`
   * @returns bytes that have arrived without a gap
   */
  receive(
    transferId: string,
    offset: number,
    receive: (write: (data: Uint8Array) => Promise<void>, signal: AbortSignal) => Promise<void>,
  ): Promise<number> {
    return this.#table.use(transferId, Incoming, (transfer) =>
      transfer.turn.run(async (signal) => {
        let at = offset;
        const write = async (data: Uint8Array) => {
          await transfer.write(at, data);
          at += data.length;
        };
        await receive(write, signal);
        return transfer.offset;
      }),
    );
  }

  /** Cuts the body of a transfer into the VM. @returns bytes that have arrived without a gap */
  offset(transferId: string): Promise<number> {
    return this.#table.use(transferId, Incoming, async (transfer) => {
      await transfer.turn.end();
      return transfer.offset;
    });
  }
}

/** Answers for the transfers of a VM that is down: every id is unknown. */
export const noBodies: Pick<TransferBodies, "send" | "receive"> = {
  send: (transferId) => Promise.reject(transferNotFound(transferId)),
  receive: (transferId) => Promise.reject(transferNotFound(transferId)),
};
