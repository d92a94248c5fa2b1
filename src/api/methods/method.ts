import { z } from "zod";
import type { Guarded } from "../rights.ts";

/** The rooms of a VM that answer methods. `actor` is the actor around the VM. */
export type RoomName =
  | "files"
  | "transfers"
  | "tars"
  | "snapshots"
  | "watches"
  | "commands"
  | "processes"
  | "shells"
  | "network"
  | "cron"
  | "sessions"
  | "machine"
  | "services"
  | "mounts"
  | "recordings"
  | "actor";

/** Any method's type. */
export type AnyCall = (...args: never[]) => Promise<unknown>;

/** The arguments of a method: their names, and the schema of the tuple. */
export interface Input<Args extends readonly unknown[]> {
  readonly names: readonly string[];
  /** Whether each argument may be left out. */
  readonly optional: readonly boolean[];
  readonly args: z.ZodType<Args>;
}

/** The facts of a method. A flag that is left out is false. */
interface MethodFacts extends Guarded {
  /** Boots a VM that is not up. */
  readonly boots?: true;
  /** May take longer than the 300 s that an HTTP request lives: this package's client sends it over a connection. */
  readonly long?: true;
  /** This package's client takes `CallOptions` with a `signal` behind the last argument. */
  readonly signal?: true;
  /** Work without a caller is worthless: the room gets the caller's AbortSignal behind the last argument. */
  readonly abortable?: true;
  /** `null` is a result. For every other method `null` stands for no result. */
  readonly nullable?: true;
  /** Only looks at the VM, or keeps a connection alive: the VM's time without a use runs on. */
  readonly looks?: true;
  /** Carries the calls of other methods: a draining server takes it, and nothing notes it as a call. */
  readonly protocol?: true;
}

/** A row of the method table. */
export interface Method<
  Call extends AnyCall,
  Room extends RoomName = RoomName,
  Signal extends boolean = boolean,
> extends MethodFacts {
  /** Carries the method's type. Never set. */
  readonly call?: Call;
  /** Carries whether the client takes a signal. Never set. */
  readonly takesSignal?: Signal;
  /** The room that answers. */
  readonly room: Room;
  readonly input: Input<Parameters<Call>>;
}

/** A row without its type. */
export interface AnyMethod extends MethodFacts {
  readonly room: RoomName;
  readonly input: Input<readonly unknown[]>;
}

type FactsOf<Call extends AnyCall> = Omit<MethodFacts, "nullable"> & {
  readonly input: Input<Parameters<Call>>;
} & (null extends Awaited<ReturnType<Call>> ? { readonly nullable: true } : { readonly nullable?: never });

/**
 * Makes the function that makes a room's rows of the method table.
 *
 * @example
 * ```ts
 * const method = methodsOf("files");
 * // Describes the method. Editors show this comment on `agent.stat`.
 * stat: method<(path: string) => Promise<VirtualStat>>()({
 *   right: "files",
 *   input: takes(["path", path]),
 *   boots: true,
 *   reads: true,
 * }),
 * ```
 */
export function methodsOf<const Room extends RoomName>(room: Room) {
  return <Call extends AnyCall>() =>
    <const Facts extends FactsOf<Call>>(
      facts: Facts,
    ): Method<Call, Room, Facts extends { signal: true } ? true : false> => ({ room, ...facts });
}

type Parameter = readonly [name: string, schema: z.ZodType];

type ArgsOf<Parts extends readonly Parameter[]> = {
  -readonly [Index in keyof Parts]: z.output<Parts[Index][1]>;
};

/** The arguments of a method, in order. */
export function takes<const Parts extends readonly Parameter[]>(...parts: Parts): Input<ArgsOf<Parts>> {
  const schemas = parts.map(([, schema]) => schema) as [z.ZodType, ...z.ZodType[]];
  return {
    names: parts.map(([name]) => name),
    optional: schemas.map((schema) => schema.safeParse(undefined).success),
    args: z.tuple(schemas) as never,
  };
}

/** The methods of a table, as functions. */
export type CallsOf<Table> = {
  [Name in keyof Table]: Table[Name] extends Method<infer Call> ? Call : never;
};
