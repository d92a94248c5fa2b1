import type { Command } from "commander";
import { integer, list } from "../values.ts";
import { does, group, serverCommand } from "./command.ts";

/** Adds the commands for the files of a VM. */
export function addFileCommands(program: Command): void {
  serverCommand(program, "cp <from> <to>", "copy a file or folder into a VM, out of it, or between VMs", {
    notes:
      "A path in a VM is KEY:PATH, `-` is stdin or stdout. A folder that exists gets the copy inside, under its name; `folder/.` means the content of a folder. Links stay links. A copy out of a VM writes through no link, takes over no setuid bit, and never replaces a file that it has written itself. A copy leaves out devices, sockets, names that are not UTF-8 and names that another file of the copy has, says so, and exits with 3.",
    examples: [
      ["cp app alice:/workspace", "copies a folder to /workspace/app"],
      ["cp alice:/workspace/report.pdf .", "copies a file out"],
      ["cp - alice:/workspace/input.json < input.json", "writes stdin to a file"],
      ["cp alice:/workspace/log - | tail", "writes a file to stdout"],
    ],
  }).action(does(async () => (await import("../actions/cp.ts")).cp));

  serverCommand(program, "cat <path...>", "print files of a VM as they are", {
    examples: [
      ["cat alice:/etc/hostname", "prints one file"],
      [
        "cat alice:/workspace/app.ts --snapshot snap-5f3c9a1e04b7d286",
        "prints a file as it was in a snapshot, and boots nothing",
      ],
    ],
  })
    .option("-s, --snapshot <id>", "snapshot that has the files (default: the files as they are now)")
    .action(does(async () => (await import("../actions/files.ts")).cat));

  serverCommand(program, "edit <path>", "edit a file of a VM with this machine's editor", {
    notes:
      "The editor is VISUAL, else EDITOR, else vi. A file that has changed in the VM meanwhile is not replaced.",
    examples: [["edit alice:/workspace/index.js", "writes the file back if it has changed"]],
  }).action(does(async () => (await import("../actions/files.ts")).edit));

  serverCommand(program, "watch <path>", "print changes of files until Ctrl-C", {
    examples: [
      ["watch -r alice:/workspace --exclude node_modules", "prints one change a line"],
      ["watch alice:/workspace --count 1", "waits for one change"],
    ],
  })
    .option("-r, --recursive", "watch everything below too")
    .option("--exclude <name>", "name to leave out at any depth", list)
    .option("-c, --count <number>", "end after this number of changes", integer)
    .action(does(async () => (await import("../actions/files.ts")).watch));

  const tar = group(program, "tar", "move files of a VM as a tar archive");
  serverCommand(tar, "export <path> [file]", "write an archive to a file or to stdout", {
    notes: "KEY alone means all of the VM's own files.",
    examples: [
      ["tar export alice:/workspace workspace.tar", "writes a file"],
      ["tar export alice:/workspace | gzip > workspace.tar.gz", "writes to a pipe"],
    ],
  }).action(does(async () => (await import("../actions/tar.ts")).exportTar));
  serverCommand(tar, "import <path> [file]", "unpack an archive of a file or of stdin in a VM", {
    notes: "All of the archive is unpacked, or nothing. Archives may be compressed with gzip.",
    examples: [["tar import alice:/workspace workspace.tar.gz", "unpacks a file"]],
  }).action(does(async () => (await import("../actions/tar.ts")).importTar));
}
