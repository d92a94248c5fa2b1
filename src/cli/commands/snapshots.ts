import type { Command } from "commander";
import { does, group, serverCommand } from "./command.ts";

const actions = () => import("../actions/snapshots.ts");

/** Adds the commands for snapshots. */
export function addSnapshotCommands(program: Command): void {
  const snapshot = group(program, "snapshot", "keep the files of a VM as they are");
  serverCommand(snapshot, "create <key> [name]", "take a snapshot", {
    examples: [["snapshot create alice before-upgrade", "prints the id of the snapshot"]],
  }).action(does(async () => (await actions()).createSnapshot));
  serverCommand(snapshot, "ls <key>", "list the snapshots of a VM", {
    examples: [["snapshot ls alice", "lists the oldest first"]],
  }).action(does(async () => (await actions()).listSnapshots));
  serverCommand(snapshot, "restore <key> <snapshot>", "replace all files of a VM with those of a snapshot", {
    notes:
      "The processes of the VM end. `agent-vm restore` is another command: it restores a backup of a server.",
    examples: [
      ["snapshot restore alice snap-5f3c9a1e04b7d286", "asks, then restores"],
      ["snapshot restore --yes alice snap-5f3c9a1e04b7d286", "does not ask; a script must pass --yes"],
    ],
  })
    .option("-y, --yes", "restore without a question")
    .action(does(async () => (await actions()).restoreSnapshot));
  serverCommand(snapshot, "rm <key> <snapshot...>", "delete snapshots", {
    examples: [["snapshot rm alice snap-5f3c9a1e04b7d286", "frees what only this snapshot holds"]],
  }).action(does(async () => (await actions()).deleteSnapshots));

  serverCommand(program, "diff <key> [snapshot] [later]", "list paths that changed since a snapshot", {
    notes:
      "Without a snapshot: since the last checkpoint, which the VM takes itself about a second after a command. With a later snapshot: between both, which boots nothing. A added, M modified, D deleted, T mode or owner.",
    examples: [
      ["diff alice snap-5f3c9a1e04b7d286", "lists one path a line"],
      ["diff alice snap-5f3c9a1e04b7d286 snap-81aa40c2e95b7f13", "compares two snapshots"],
    ],
  }).action(does(async () => (await actions()).diff));
  serverCommand(program, "undo <key> <path...>", "put paths back as they were in a snapshot", {
    notes: "A path that does not begin with / begins at /home/agentos. Exits 3 if a path was not put back.",
    examples: [["undo alice /workspace/src --snapshot snap-5f3c9a1e04b7d286", "puts a folder back"]],
  })
    .option(
      "-s, --snapshot <id>",
      "snapshot to take the paths from (default: the last checkpoint, about a second after the last command)",
    )
    .action(does(async () => (await actions()).undo));
}
