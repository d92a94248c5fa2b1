// @module-tag any-user
// @module-tag attack
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Files } from "../../../../../src/runtime/filesystem/files.ts";
import { failure, posix, readOnly, text, VM_OWNER } from "../../../filesystem/file-systems.ts";
import { type NamespaceRoot, noNamespaces, openNamespaceRoot } from "./namespace-root.ts";

if (noNamespaces !== null) console.warn(`skipped: ${noNamespaces}`);

/** Mounts a folder of the host, a second tmpfs with files of another user, a file, and a directory of the VM. */
const MOUNTS = `
  mkdir usr lent home bound-to
  mount -n --rbind /usr usr
  mount -n -t tmpfs -o mode=755 lent lent
  echo -n public > lent/public; chmod 644 lent/public
  echo -n private > lent/private; chmod 600 lent/private
  mkdir lent/open lent/closed lent/blind
  echo -n deep > lent/open/file; echo -n deep > lent/closed/file; echo -n deep > lent/blind/file
  chmod 755 lent/open; chmod 700 lent/closed; chmod 711 lent/blind
  echo -n below > mounted; echo -n above > lent/above
  mount -n --bind lent/above mounted
  mkdir inner; echo -n inner > inner/file; mount -n --bind inner bound-to
  ${VM_OWNER === null ? "" : `chown -R ${VM_OWNER.uid}:${VM_OWNER.gid} home inner`}`;

describe.skipIf(noNamespaces !== null)("mounts in the VM", () => {
  let vm: NamespaceRoot;
  let files: Files;
  beforeEach(async () => {
    vm = await openNamespaceRoot(MOUNTS);
    files = new Files(vm.fs);
  });
  afterEach(() => vm.dispose());

  test("files of a mount can be read, listed and described", async () => {
    expect(text(await files.readFile("/lent/public"))).toBe("public");
    expect(text(await files.readFile("/mounted"))).toBe("above");
    expect((await files.readFile("/usr/bin/env")).subarray(0, 4)).toEqual(
      new Uint8Array(Buffer.from("\x7fELF")),
    );
    expect(await files.readdir("/lent")).toEqual(["above", "blind", "closed", "open", "private", "public"]);
    expect((await files.stat("/usr")).isDirectory).toBe(true);
  });

  test("no method writes to a mount", async () => {
    const { fs } = vm;
    await files.writeFile("/home/source", "x");
    await fs.symlink("../lent/public", "/home/link");
    await fs.symlink("/lent", "/home/folder-link");
    const before = vm.run("ls lent lent/open; cat lent/public lent/above");
    const changes: [path: string, change: () => Promise<unknown>][] = [
      ["/lent/public", () => files.writeFile("/lent/public", "x")],
      ["/lent/new", () => files.writeFile("/lent/new", "x")],
      ["/lent/a/b/new", () => files.writeFile("/lent/a/b/new", "x")],
      ["/usr/new", () => files.writeFile("/usr/new", "x")],
      ["/mounted", () => files.writeFile("/mounted", "x")],
      ["/home/link", () => files.writeFile("/home/link", "x")],
      ["/home/folder-link/new", () => files.writeFile("/home/folder-link/new", "x")],
      ["/lent/new", () => fs.openWriter("/lent/new")],
      ["/lent/new", () => files.mkdir("/lent/new")],
      ["/lent/new/deep", () => files.mkdir("/lent/new/deep", { recursive: true })],
      ["/lent/link", () => fs.symlink("x", "/lent/link")],
      ["/lent/public", () => files.delete("/lent/public")],
      ["/lent/none", () => files.delete("/lent/none")],
      ["/lent/open", () => files.delete("/lent/open", { recursive: true })],
      ["/home/folder-link/public", () => files.delete("/home/folder-link/public")],
      ["/lent/public", () => files.move("/lent/public", "/home/stolen")],
      ["/lent/pushed", () => files.move("/home/source", "/lent/pushed")],
      ["/lent/public", () => fs.chmod("/lent/public", 0o777)],
      ["/lent", () => fs.chmod("/lent", 0o777)],
      ["/home/link", () => fs.utimes("/home/link", 0, 0)],
    ];
    for (const [path, change] of changes) expect(await failure(change())).toEqual(readOnly(path));
    expect(vm.run("ls lent lent/open; cat lent/public lent/above")).toBe(before);
    expect(await files.readdir("/home")).toEqual(["folder-link", "link", "source"]);
  });

  test("delete and move refuse a mount point, which the kernel would remove from outside", async () => {
    await files.writeFile("/home/file", "x");
    await files.mkdir("/home/empty");
    const busy = (text: string) => posix(`EBUSY: resource busy or locked, ${text}`);
    expect(await failure(files.delete("/lent"))).toEqual(busy("rmdir '/lent'"));
    expect(await failure(files.delete("/usr", { recursive: true }))).toEqual(busy("rmdir '/usr'"));
    expect(await failure(files.delete("/mounted"))).toEqual(busy("unlink '/mounted'"));
    expect(await failure(files.move("/lent", "/home/lent"))).toEqual(busy("rename '/lent' -> '/home/lent'"));
    expect(await failure(files.move("/home/empty", "/lent"))).toEqual(
      busy("rename '/home/empty' -> '/lent'"),
    );
    expect(await failure(files.move("/home/file", "/mounted"))).toEqual(
      busy("rename '/home/file' -> '/mounted'"),
    );
    expect(text(await files.readFile("/mounted"))).toBe("above");
    expect(await files.readdir("/lent")).toHaveLength(6);
    expect((await files.readdir("/usr")).length).toBeGreaterThan(5);
  });

  test("a root server reads only files that the VM's user may read", async (ctx) => {
    const denied = (call: string, path: string) => posix(`EACCES: permission denied, ${call} '${path}'`);
    if (VM_OWNER === null) ctx.skip("only a root server has more rights than the VM's user");
    expect(await failure(files.readFile("/lent/private"))).toEqual(denied("open", "/lent/private"));
    expect(await failure(files.readFile("/lent/closed/file"))).toEqual(denied("open", "/lent/closed/file"));
    expect(await failure(files.stat("/lent/closed/file"))).toEqual(denied("stat", "/lent/closed/file"));
    expect(await failure(files.readdir("/lent/closed"))).toEqual(denied("scandir", "/lent/closed"));
    expect(await failure(files.readdir("/lent/blind"))).toEqual(denied("scandir", "/lent/blind"));
    expect(text(await files.readFile("/lent/blind/file"))).toBe("deep");
    expect(text(await files.readFile("/lent/open/file"))).toBe("deep");
    const listed = (await files.readdirRecursive("/lent")).map(({ path }) => path);
    expect(listed).toEqual([
      "/lent/above",
      "/lent/blind",
      "/lent/closed",
      "/lent/open",
      "/lent/private",
      "/lent/public",
      "/lent/open/file",
    ]);
  });

  test("move copies into a bind mount of the VM's own files", async () => {
    await files.writeFile("/home/folder/file", "content");
    await files.move("/home/folder", "/bound-to/folder");
    expect(vm.run("cat inner/folder/file; ls home")).toBe("content");
    await files.move("/bound-to/file", "/home/file");
    expect(vm.run("cat home/file; ls inner")).toBe("innerfolder\n");
  });
});
