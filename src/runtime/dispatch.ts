import type { RoomName } from "../api/methods/method.ts";
import {
  METHODS,
  type NamesIn,
  type RoomMethods,
  VM_METHOD_NAMES,
  type VmMethods,
} from "../api/methods/table.ts";

/** The rooms of a VM. A function stands for a room of the current boot, which the next call may find replaced. */
export type Rooms = {
  readonly [Name in Exclude<RoomName, "actor">]: RoomMethods<Name> | (() => Promise<RoomMethods<Name>>);
};

type Room = Record<string, (...args: unknown[]) => Promise<unknown>>;

/** The methods of a VM, each answered by the room that the method table names. */
export function dispatch(rooms: Rooms): Omit<VmMethods, NamesIn<"actor">> {
  const methods: Room = {};
  for (const name of VM_METHOD_NAMES) {
    const place: RoomName = METHODS[name].room;
    if (place === "actor") continue;
    const room = rooms[place] as unknown as Room | (() => Promise<Room>);
    methods[name] =
      typeof room === "function"
        ? async (...args) => await (await room())[name]!(...args)
        : (...args) => room[name]!(...args);
  }
  return methods as unknown as Omit<VmMethods, NamesIn<"actor">>;
}
