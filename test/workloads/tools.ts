import assert from "node:assert/strict";
import { exec, page, prints, types, type Workload } from "./workload.ts";

const SUM = `printf 'int f(int x) { return x + 1; }\\nint main() { return f(6); }\\n' > p.c`;

export const TOOLS: Workload[] = [
  {
    name: "C, make",
    version: "gcc --version | head -1; make --version | head -1",
    packages: ["gcc", "libc6-dev", "make"],
    tried: "A Makefile of two files, with the address sanitizer",
    run: prints(
      `printf '#include <stdio.h>\\nint f(void);\\nint main(void) { printf("%%d\\\\n", f()); }\\n' > a.c; echo 'int f(void) { return 42; }' > b.c
       printf 'CFLAGS = -g -fsanitize=address\\na: a.o b.o\\n\\t$(CC) $(CFLAGS) -o $@ $^\\n' > Makefile; make -j2 > log && ./a`,
      "42",
    ),
  },
  {
    name: "CMake, Ninja, Clang",
    version: "cmake --version | head -1; ninja --version; clang --version | head -1",
    packages: ["cmake", "ninja-build", "clang"],
    tried: "A project of C++ is configured, built and tested by ctest",
    run: prints(
      `printf 'cmake_minimum_required(VERSION 3.13)\\nproject(app CXX)\\nenable_testing()\\nadd_executable(app a.cpp)\\nadd_test(NAME a COMMAND app)\\n' > CMakeLists.txt
       printf '#include <vector>\\nint main() { return std::vector<int>{0}.front(); }\\n' > a.cpp
       CXX=clang++ cmake -G Ninja -B build . > log && cmake --build build >> log && cd build && ctest | grep -o '100% tests passed'`,
      "100% tests passed",
    ),
  },
  {
    name: "gdb",
    version: "gdb --version | head -1; command -v gcc > log",
    packages: ["gdb", "gcc", "libc6-dev"],
    tried: "A breakpoint in its own child, and a running process by its pid",
    limits: "Only processes of the same VM, and not its init and spawner.",
    run: prints(
      `${SUM} && gcc -g p.c -o p
       gdb -nx -batch -ex 'break f' -ex run -ex 'print x' -ex continue ./p 2>&1 | grep -o '= 6\\|code 07'
       sleep 60 & gdb -nx -batch -p $! -ex 'info inferiors' 2>&1 | grep -c '^\\* 1 *process'; kill $!`,
      /^= 6\ncode 07\n1$/,
    ),
  },
  {
    name: "strace, ltrace",
    version: "strace --version | head -1; command -v ltrace gcc > log",
    packages: ["strace", "ltrace", "gcc"],
    tried: "System calls of a child and of a running process; calls of a library",
    run: prints(
      `strace -f -e trace=openat cat /etc/hostname 2>&1 | grep -c 'openat.*/etc/hostname'
       (while :; do sleep 0.1; done) & timeout 2 strace -f -p $! 2>&1 | grep -o clock_nanosleep | head -1; kill $!
       printf '#include <stdlib.h>\\nint main() { return atoi("0"); }\\n' > a.c && gcc -O0 a.c -o a && ltrace ./a 2>&1 | grep -o '^atoi'`,
      /^1\nclock_nanosleep\natoi$/,
    ),
  },
  {
    name: "Valgrind",
    version: "valgrind --version && command -v gcc > log",
    packages: ["valgrind", "gcc", "libc6-dbg"],
    tried: "A leak is found",
    run: prints(
      `printf '#include <stdlib.h>\\nint main() { malloc(10); return 0; }\\n' > a.c && gcc -g a.c -o a && valgrind --leak-check=full ./a 2>&1 | grep -o 'definitely lost: 10 bytes'`,
      /definitely lost: 10 bytes/,
    ),
  },
  {
    name: "git",
    version: "git --version",
    packages: ["git"],
    tried: "Commit, hook, branch, merge, stash, worktree; push to and clone from a bare repository",
    run: prints(
      `export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@example
       { git init -q --bare r.git && git clone -q r.git a && cd a && echo one > f && git add f
       printf '#!/bin/sh\\ntouch ../hooked\\n' > .git/hooks/pre-commit && chmod +x .git/hooks/pre-commit && git commit -qm one
       git checkout -qb b && echo two >> f && git commit -qam two && git checkout -q - && git merge -q b
       echo x >> f && git stash -q && git worktree add -q ../w b && git push -q origin HEAD; cd .. && git clone -q r.git c; } 2> log
       ls hooked; git -C c log --format=%s | sort`,
      "hooked\none\ntwo",
    ),
  },
  {
    name: "ssh, rsync",
    version: "ssh -V 2>&1; ls /usr/sbin/sshd > log; rsync --version | head -1",
    packages: ["openssh-client", "openssh-server", "rsync"],
    tried: "A server of the VM's own user on a high port: a command, and a copy by rsync",
    run: prints(
      `mkdir -m 700 ~/.ssh; ssh-keygen -qN '' -t ed25519 -f ~/.ssh/id_ed25519; cp ~/.ssh/id_ed25519.pub ~/.ssh/authorized_keys
       ssh-keygen -qN '' -t ed25519 -f key
       printf 'Port 2222\\nHostKey /workspace/key\\nPidFile none\\nUsePAM no\\n' > sshd.conf; /usr/sbin/sshd -f $PWD/sshd.conf -E log
       export RSYNC_RSH='ssh -p 2222 -o StrictHostKeyChecking=accept-new'
       $RSYNC_RSH localhost 'echo over ssh; tty || :' 2>> log; mkdir from && echo content > from/f && rsync -a from/ localhost:/workspace/to 2>> log; cat to/f`,
      "over ssh\nnot a tty\ncontent",
    ),
  },
  {
    name: "GnuPG",
    version: "gpg --version | head -1",
    packages: ["gpg", "gpg-agent"],
    tried: "A key is made; it signs a file, and the signature is verified",
    run: prints(
      `{ gpg --batch --passphrase '' --quick-gen-key a@example && echo text > f && gpg --batch -b f; } 2> log
       gpg --verify f.sig 2>&1 | grep -o 'Good signature'`,
      "Good signature",
    ),
  },
  {
    name: "nginx",
    version: "nginx -v 2>&1",
    packages: ["nginx-light"],
    tried: "A configuration of its own serves a file and proxies to a server",
    async run(vm) {
      await exec(
        vm,
        `echo '<p>from nginx' > index.html
         cat > n.conf <<'END'
pid /tmp/n.pid; error_log /tmp/n.log; worker_processes 2; events {}
http {
  include /etc/nginx/mime.types; access_log off;
  server { listen 8080; root /workspace; location /back/ { proxy_pass http://127.0.0.1:9000/; } }
}
END
         python3 -m http.server 9000 > log 2>&1 &
         nginx -c /workspace/n.conf`,
      );
      assert.match(await page(vm, 8080, "/index.html"), /from nginx/);
      await vm.waitForPort(9000);
      assert.match(await page(vm, 8080, "/back/index.html"), /from nginx/);
    },
  },
  {
    name: "jq, ripgrep, curl",
    version: "jq --version; rg --version | head -1; curl --version | head -1",
    packages: ["jq", "ripgrep", "curl"],
    tried: "A page of a server inside, a search that honours .gitignore",
    run: prints(
      `echo '{ "a": [1, 2] }' > a.json; echo secret > b.txt; git init -q; echo b.txt > .gitignore
       python3 -m http.server 9000 > log 2>&1 & sleep 1; curl -sS --retry 9 --retry-connrefused http://localhost:9000/a.json | jq -c .a; rg -l 'secret|a' | sort | tr '\\n' ' '`,
      /^\[1,2\]\na\.json log\s*$/,
    ),
  },
  {
    name: "docker, podman",
    version: "/usr/bin/docker --version; /usr/bin/podman --version",
    packages: ["docker.io", "podman"],
    tried: "Each says in a line what to do instead",
    limits: "No containers inside: a VM has no namespaces of its own to give.",
    run: prints(
      "docker run alpine 2>&1; podman ps 2>&1; :",
      /^docker: containers cannot run.*\npodman: containers cannot run/,
    ),
  },
  {
    name: "vim",
    version: "vim --version | head -1",
    packages: ["vim"],
    tried: "Text is typed and saved on a terminal",
    run: types(
      ["vim", "-n", "a.txt"],
      [
        ["a.txt", "ihello from vim\u001b"],
        ["hello from vim", ":wq\r"],
      ],
      async (vm) => assert.equal(await exec(vm, "cat a.txt"), "hello from vim"),
    ),
  },
  {
    name: "nano",
    version: "nano --version | head -1",
    packages: ["nano"],
    tried: "Text is typed and saved on a terminal",
    run: types(
      ["nano", "a.txt"],
      [
        ["GNU nano", "hello from nano"],
        ["hello from nano", "\u0013\u0018"],
      ],
      async (vm) => assert.equal(await exec(vm, "cat a.txt"), "hello from nano"),
    ),
  },
  {
    name: "Emacs",
    version: "emacs --version | head -1",
    packages: ["emacs-nox"],
    tried: "Text is typed and saved on a terminal",
    run: types(
      ["emacs", "-Q", "-nw", "a.txt"],
      [
        ["a.txt", "hello from emacs"],
        ["emacs", "\u0018\u0013"],
        ["Wrote", "\u0018\u0003"],
      ],
      async (vm) => assert.equal(await exec(vm, "cat a.txt"), "hello from emacs"),
    ),
  },
  {
    name: "tmux",
    version: "tmux -V",
    packages: ["tmux"],
    tried: "A session that lives on in the background; a second window on a terminal",
    async run(vm) {
      await exec(vm, "tmux new -d -s work && tmux send-keys -t work 'echo from-$((6*7))' Enter");
      const seen = await exec(
        vm,
        "for i in $(seq 100); do tmux capture-pane -p -t work | grep -m1 '^from-42' && break; sleep 0.1; done",
      );
      assert.equal(seen, "from-42");
      await types(
        ["tmux", "attach", "-t", "work"],
        [
          ["from-42", "\u0002c"],
          ["1:bash", "exit\r"],
          ["0:bash", "\u0002d"],
        ],
      )(vm);
      assert.match(await exec(vm, "tmux ls"), /^work: 1 windows/);
    },
  },
  {
    name: "GNU screen",
    version: "screen --version || :; command -v screen > log",
    packages: ["screen"],
    tried: "A session that lives on in the background",
    run: prints(
      `screen -dmS work bash -c 'echo from-screen > out; sleep 30'; for i in $(seq 100); do [ -s out ] && break; sleep 0.1; done; cat out; screen -ls | grep -c work`,
      "from-screen\n1",
    ),
  },
  {
    name: "htop, top",
    version: "htop --version | head -1",
    packages: ["htop", "procps"],
    tried: "The VM's processes with their CPU time and memory on a terminal; no process of the host",
    async run(vm) {
      await vm.spawn("sleep", ["1234"]);
      await types(["htop", "-C"], [["sleep 1234", "q"]])(vm);
      const listed = await exec(
        vm,
        "top -b -n 1 | grep -c '[0-9] sleep'; ps aux | grep -c '[s]leep 1234'; free -m | awk '/Mem/ { print $2 }'",
      );
      assert.match(listed, /^[12]\n1\n\d+$/);
    },
  },
  {
    name: "less, man",
    version: "less --version | head -1; man --version",
    packages: ["less", "man-db"],
    tried: "A page of the manual in a pager on a terminal",
    run: types(["bash", "-c", "man bash-builtins || man man"], [[/MAN|BUILTINS|Manual/i, "q"]]),
  },
];
