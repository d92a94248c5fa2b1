import * as host from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { FileSystem } from "../../../src/runtime/sandbox/files.ts";
import { describeFiles, failure, scratchFolder } from "./file-systems.ts";

/** Results of Node's own fs in a folder of the host. The VM must give them below its root. */
const OPERATIONS: [
  title: string,
  host: (at: (path: string) => string) => unknown,
  vm: (fs: FileSystem) => Promise<unknown>,
][] = [
  ["read a missing file", (at) => host.readFileSync(at("/none")), (fs) => fs.readFile("/none")],
  [
    "read below a missing directory",
    (at) => host.readFileSync(at("/none/x")),
    (fs) => fs.readFile("/none/x"),
  ],
  ["read below a file", (at) => host.readFileSync(at("/file/x")), (fs) => fs.readFile("/file/x")],
  ["read a file with a slash", (at) => host.readFileSync(at("/file/")), (fs) => fs.readFile("/file/")],
  ["read a dangling link", (at) => host.readFileSync(at("/dangling")), (fs) => fs.readFile("/dangling")],
  ["read a loop", (at) => host.readFileSync(at("/loop")), (fs) => fs.readFile("/loop")],
  ["read below a loop", (at) => host.readFileSync(at("/loop/x")), (fs) => fs.readFile("/loop/x")],
  [
    "read a name that is too long",
    (at) => host.readFileSync(at(`/${"x".repeat(256)}`)),
    (fs) => fs.readFile(`/${"x".repeat(256)}`),
  ],
  [
    "write a directory",
    (at) => host.writeFileSync(at("/folder"), ""),
    (fs) => fs.writeFile("/folder", new Uint8Array()),
  ],
  [
    "write a directory by a link",
    (at) => host.writeFileSync(at("/folder-link"), ""),
    (fs) => fs.writeFile("/folder-link", new Uint8Array()),
  ],
  [
    "write a file with a slash",
    (at) => host.writeFileSync(at("/file/"), ""),
    (fs) => fs.writeFile("/file/", new Uint8Array()),
  ],
  [
    "write a new file with a slash",
    (at) => host.writeFileSync(at("/new/"), ""),
    (fs) => fs.writeFile("/new/", new Uint8Array()),
  ],
  [
    "write below a missing directory",
    (at) => host.writeFileSync(at("/none/x"), ""),
    (fs) => fs.writeFile("/none/x", new Uint8Array()),
  ],
  [
    "write below a file",
    (at) => host.writeFileSync(at("/file/x"), ""),
    (fs) => fs.writeFile("/file/x", new Uint8Array()),
  ],
  [
    "write a loop",
    (at) => host.writeFileSync(at("/loop"), ""),
    (fs) => fs.writeFile("/loop", new Uint8Array()),
  ],
  [
    "write a name that is too long",
    (at) => host.writeFileSync(at(`/${"x".repeat(256)}`), ""),
    (fs) => fs.writeFile(`/${"x".repeat(256)}`, new Uint8Array()),
  ],
  ["stat nothing", (at) => host.statSync(at("/none")), (fs) => fs.stat("/none")],
  ["stat a file with a slash", (at) => host.statSync(at("/file/")), (fs) => fs.stat("/file/")],
  ["stat a dangling link", (at) => host.statSync(at("/dangling")), (fs) => fs.stat("/dangling")],
  ["lstat nothing", (at) => host.lstatSync(at("/none")), (fs) => fs.lstat("/none")],
  [
    "lstat a link to a file with a slash",
    (at) => host.lstatSync(at("/file-link/")),
    (fs) => fs.lstat("/file-link/"),
  ],
  ["list nothing", (at) => host.readdirSync(at("/none")), (fs) => fs.readdir("/none")],
  ["list a file", (at) => host.readdirSync(at("/file")), (fs) => fs.readdir("/file")],
  ["make a directory that exists", (at) => host.mkdirSync(at("/folder")), (fs) => fs.mkdir("/folder")],
  ["make a directory where a file is", (at) => host.mkdirSync(at("/file")), (fs) => fs.mkdir("/file")],
  [
    "make a directory where a file is, with a slash",
    (at) => host.mkdirSync(at("/file/")),
    (fs) => fs.mkdir("/file/"),
  ],
  [
    "make a directory where a dangling link is",
    (at) => host.mkdirSync(at("/dangling")),
    (fs) => fs.mkdir("/dangling"),
  ],
  [
    "make a directory below a missing one",
    (at) => host.mkdirSync(at("/none/x")),
    (fs) => fs.mkdir("/none/x"),
  ],
  ["make a directory below a file", (at) => host.mkdirSync(at("/file/x")), (fs) => fs.mkdir("/file/x")],
  ["unlink nothing", (at) => host.unlinkSync(at("/none")), (fs) => fs.unlink("/none")],
  ["unlink nothing with a slash", (at) => host.unlinkSync(at("/none/")), (fs) => fs.unlink("/none/")],
  ["unlink a directory", (at) => host.unlinkSync(at("/folder")), (fs) => fs.unlink("/folder")],
  ["unlink a directory with a slash", (at) => host.unlinkSync(at("/folder/")), (fs) => fs.unlink("/folder/")],
  ["unlink a file with a slash", (at) => host.unlinkSync(at("/file/")), (fs) => fs.unlink("/file/")],
  [
    "unlink a link to a directory with a slash",
    (at) => host.unlinkSync(at("/folder-link/")),
    (fs) => fs.unlink("/folder-link/"),
  ],
  ["rmdir nothing", (at) => host.rmdirSync(at("/none")), (fs) => fs.rmdir("/none")],
  ["rmdir a file", (at) => host.rmdirSync(at("/file")), (fs) => fs.rmdir("/file")],
  ["rmdir a link", (at) => host.rmdirSync(at("/folder-link")), (fs) => fs.rmdir("/folder-link")],
  [
    "rmdir a link with a slash",
    (at) => host.rmdirSync(at("/folder-link/")),
    (fs) => fs.rmdir("/folder-link/"),
  ],
  ["rmdir what is not empty", (at) => host.rmdirSync(at("/folder")), (fs) => fs.rmdir("/folder")],
  ["rename nothing", (at) => host.renameSync(at("/none"), at("/new")), (fs) => fs.rename("/none", "/new")],
  [
    "rename to a missing directory",
    (at) => host.renameSync(at("/file"), at("/none/new")),
    (fs) => fs.rename("/file", "/none/new"),
  ],
  [
    "rename a file with a slash",
    (at) => host.renameSync(at("/file/"), at("/new")),
    (fs) => fs.rename("/file/", "/new"),
  ],
  [
    "rename a file to a slash",
    (at) => host.renameSync(at("/file"), at("/new/")),
    (fs) => fs.rename("/file", "/new/"),
  ],
  [
    "rename a link with a slash",
    (at) => host.renameSync(at("/folder-link/"), at("/new")),
    (fs) => fs.rename("/folder-link/", "/new"),
  ],
  [
    "rename a file over a directory",
    (at) => host.renameSync(at("/file"), at("/folder")),
    (fs) => fs.rename("/file", "/folder"),
  ],
  [
    "rename a directory over a file",
    (at) => host.renameSync(at("/folder"), at("/file")),
    (fs) => fs.rename("/folder", "/file"),
  ],
  [
    "rename a directory over one that is not empty",
    (at) => host.renameSync(at("/empty"), at("/folder")),
    (fs) => fs.rename("/empty", "/folder"),
  ],
  [
    "rename a directory into itself",
    (at) => host.renameSync(at("/folder"), at("/folder/x")),
    (fs) => fs.rename("/folder", "/folder/x"),
  ],
  [
    "rename a directory over its own parent",
    (at) => host.renameSync(at("/folder/inner"), at("/folder")),
    (fs) => fs.rename("/folder/inner", "/folder"),
  ],
  [
    "rename a file over its own parent",
    (at) => host.renameSync(at("/folder/file"), at("/folder")),
    (fs) => fs.rename("/folder/file", "/folder"),
  ],
  ["readlink of a file", (at) => host.readlinkSync(at("/file")), (fs) => fs.readlink("/file")],
  ["readlink of nothing", (at) => host.readlinkSync(at("/none")), (fs) => fs.readlink("/none")],
  [
    "readlink of a link to a directory with a slash",
    (at) => host.readlinkSync(at("/folder-link/")),
    (fs) => fs.readlink("/folder-link/"),
  ],
  [
    "link where a file is",
    (at) => host.symlinkSync("target", at("/file")),
    (fs) => fs.symlink("target", "/file"),
  ],
  [
    "link with a slash",
    (at) => host.symlinkSync("target", at("/new/")),
    (fs) => fs.symlink("target", "/new/"),
  ],
  [
    "link below a missing directory",
    (at) => host.symlinkSync("target", at("/none/x")),
    (fs) => fs.symlink("target", "/none/x"),
  ],
  ["chmod nothing", (at) => host.chmodSync(at("/none"), 0o600), (fs) => fs.chmod("/none", 0o600)],
  ["utimes of nothing", (at) => host.utimesSync(at("/none"), 1, 1), (fs) => fs.utimes("/none", 1000, 1000)],
];

const expected = new Map<string, { code: string; message: string }>();
let folder: string;

beforeAll(() => {
  folder = scratchFolder();
  host.mkdirSync(join(folder, "folder/inner"), { recursive: true });
  host.mkdirSync(join(folder, "empty"));
  host.writeFileSync(join(folder, "file"), "file");
  host.writeFileSync(join(folder, "folder/file"), "file");
  host.symlinkSync("folder", join(folder, "folder-link"));
  host.symlinkSync("file", join(folder, "file-link"));
  host.symlinkSync("none", join(folder, "dangling"));
  host.symlinkSync("loop", join(folder, "loop"));
  for (const [title, run] of OPERATIONS) {
    try {
      run((path) => folder + path);
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      expected.set(title, { code: String(code), message: message.replaceAll(folder, "") });
    }
  }
});

afterAll(() => host.rmSync(folder, { recursive: true, force: true }));

describeFiles("errors equal those of Node on the host", (tree) => {
  test.each(OPERATIONS)("%s", async (title, _host, run) => {
    const { fs } = tree;
    const data = Buffer.from("file");
    await fs.mkdir("/folder");
    await fs.mkdir("/folder/inner");
    await fs.mkdir("/empty");
    await fs.writeFile("/file", data);
    await fs.writeFile("/folder/file", data);
    await fs.symlink("folder", "/folder-link");
    await fs.symlink("file", "/file-link");
    await fs.symlink("none", "/dangling");
    await fs.symlink("loop", "/loop");
    expect(await failure(run(fs))).toEqual(expected.get(title));
  });
});
