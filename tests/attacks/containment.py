"Harm to the machine with an ordinary program's means: files, secrets, network, processes. Nothing of it may happen."
from .kit import CRASHED, FAILED, PASSED, REFUSED, TIMEOUT, VIOLATION, Attack, bare, harm

FILES = [  # (name, body, trace)
    ("create", "open('@FOLDER@/evil-create-@TAG@', 'w').write('x')", "file"),
    ("create_exclusive", "os.close(os.open('@FOLDER@/evil-excl-@TAG@', os.O_CREAT | os.O_EXCL))", "file"),
    ("create_unnamed", "os.write(os.open('@FOLDER@', os.O_TMPFILE | os.O_RDWR), b'x')", ""),
    ("append", "open('@CANARY@', 'a').write('x')", "canary"),
    ("overwrite", "open('@CANARY@', 'r+b').write(b'x')", "canary"),
    ("open_truncate", "open('@CANARY@', 'w')", "canary"),
    ("open_read_truncate", "os.open('@CANARY@', os.O_RDONLY | os.O_TRUNC)", "canary"),
    ("open_write_only", "os.open('@CANARY@', os.O_WRONLY)", ""),
    ("open_access_mode_3", "os.open('@CANARY@', 3)", ""),
    ("truncate", "os.truncate('@CANARY@', 0)", "canary"),
    ("unlink", "os.unlink('@CANARY@')", "canary"),
    ("remove_folder", "os.rmdir('@FOLDER@/empty')", "folder"),
    ("make_folder", "os.mkdir('@FOLDER@/evil-dir-@TAG@')", "file"),
    ("rename", "os.rename('@CANARY@', '@FOLDER@/evil-renamed-@TAG@')", "canary"),
    ("replace", "os.replace('@FOLDER@/spare', '@CANARY@')", "canary"),
    ("link", "os.link('@CANARY@', '@FOLDER@/evil-link-@TAG@')", "file"),
    ("symlink", "os.symlink('/etc', '@FOLDER@/evil-symlink-@TAG@')", "file"),
    ("fifo", "os.mkfifo('@FOLDER@/evil-fifo-@TAG@')", "file"),
    ("node", "os.mknod('@FOLDER@/evil-node-@TAG@')", "file"),
    ("device", "os.mknod('@FOLDER@/evil-device-@TAG@', 0o20666, os.makedev(1, 5))", "file"),
    ("chmod", "os.chmod('@CANARY@', 0o777)", "canary"),
    ("chmod_by_descriptor", "os.fchmod(os.open('@FOLDER@', os.O_RDONLY), 0o700)", "folder"),
    ("chmod_by_proc", "fd = os.open('@CANARY@', os.O_PATH)\nos.chmod(f'/proc/self/fd/{fd}', 0o777)", "canary"),
    ("chown", "os.chown('@CANARY@', -1, -1)\nos.chown('@CANARY@', os.getuid(), os.getgid())", ""),
    ("utime", "os.utime('@CANARY@', (1, 1))", "canary"),
    ("set_attribute", "os.setxattr('@CANARY@', 'user.evil', b'x')", "canary"),
    ("in_temporary", "open('/tmp/evil-tmp-@TAG@', 'w').write('x')", "file"),
    (
        "in_temporary_module",
        "import tempfile\ntempfile.NamedTemporaryFile(prefix='evil-@TAG@', delete=False).write(b'x')", "file",
    ),
    ("in_var", "open('/var/tmp/evil-var-@TAG@', 'w').write('x')", "file"),
    ("in_shared_memory", "open('/dev/shm/evil-shm-@TAG@', 'w').write('x')", "file"),
    (
        "in_shared_memory_module",
        "from multiprocessing import shared_memory\nshared_memory.SharedMemory('evil-mp-@TAG@', create=True, size=64)",
        "",
    ),
    ("in_home", "open(os.path.expanduser('~/evil-home-@TAG@'), 'w').write('x')", "file"),
    ("in_working_folder", "open('evil-cwd-@TAG@', 'w').write('x')", "file"),
    ("in_library", "os.open(os.__file__, os.O_WRONLY)", ""),
    ("in_library_folder", "open(os.path.dirname(os.__file__) + '/evil-lib-@TAG@', 'w').write('x')", "file"),
    (
        "in_engine_folder",
        "folder = os.path.dirname(os.path.abspath(sys.argv[0]))\n"
        "open(folder + '/evil-@TAG@', 'w').write('x')\n"
        "os.unlink(folder + '/evil-@TAG@')",
        "",
    ),
    ("relative_after_chdir", "os.chdir('@FOLDER@')\nopen('evil-relative-@TAG@', 'w').write('x')", "file"),
    (
        "by_folder_descriptor",
        "os.close(os.open('evil-at-@TAG@', os.O_CREAT | os.O_WRONLY, dir_fd=os.open('@FOLDER@', os.O_PATH)))", "file",
    ),
    ("by_dots", "open('../' * 30 + '@CANARY@', 'a').write('x')", "canary"),
    ("by_proc_root", "open('/proc/self/root@CANARY@', 'a').write('x')", "canary"),
    ("by_outer_root", "open('/proc/@PID@/root@CANARY@', 'a').write('x')", "canary"),
    ("by_parents_root", "open(f'/proc/{os.getppid()}/root@CANARY@', 'a').write('x')", "canary"),
    ("by_parents_folder", "open(f'/proc/{os.getppid()}/cwd/../../..@CANARY@', 'a').write('x')", "canary"),
    (
        "by_reopening",
        "fd = os.open('@CANARY@', os.O_RDONLY)\n"
        "os.write(os.open(f'/proc/self/fd/{fd}', os.O_WRONLY | os.O_APPEND), b'x')",
        "canary",
    ),
    (
        "by_shared_mapping",
        "import mmap\nm = mmap.mmap(os.open('@CANARY@', os.O_RDWR), 4)\nm[0:4] = b'evil'\nm.flush()", "canary",
    ),
    ("by_sqlite", "import sqlite3\nsqlite3.connect('@FOLDER@/evil-@TAG@.db').execute('create table t (a)')", "file"),
    ("by_dbm", "import dbm.dumb\ndbm.dumb.open('@FOLDER@/evil-dbm-@TAG@', 'n').close()", "file"),
    (
        "by_stdio",
        "import ctypes\n"
        "c = ctypes.CDLL(None)\n"
        "c.fopen.restype = ctypes.c_void_p\n"
        "h = c.fopen(b'@CANARY@', b'a')\n"
        "assert h\n"
        "c.fputs(b'x', ctypes.c_void_p(h))\n"
        "c.fclose(ctypes.c_void_p(h))",
        "canary",
    ),
    (
        "by_log",
        "import logging\nlogging.FileHandler('@FOLDER@/evil-log-@TAG@').emit(logging.makeLogRecord({'msg': 'x'}))",
        "file",
    ),
    ("by_socket_name", "import socket\nsocket.socket(socket.AF_UNIX).bind('@FOLDER@/evil-socket-@TAG@')", "file"),
    ("lease", "import fcntl\nfcntl.fcntl(os.open(os.__file__, os.O_RDONLY), fcntl.F_SETLEASE, fcntl.F_RDLCK)", ""),
    ("terminal", "os.open('/dev/ptmx', os.O_RDWR | os.O_NOCTTY)", ""),
    ("oom_score", "open('/proc/self/oom_score_adj', 'w').write('-1')", ""),
    ("kernel_setting", "os.open('/proc/sys/kernel/core_pattern', os.O_WRONLY)", ""),
    ("kernel_keys", "os.open('/proc/sysrq-trigger', os.O_WRONLY)", ""),
    (
        "own_code",
        "import ctypes\n"
        "buffer = ctypes.create_string_buffer(8)\n"
        "m = open('/proc/self/mem', 'r+b', 0)\n"
        "m.seek(ctypes.addressof(buffer))\n"
        "m.write(b'evil')\n"
        "assert buffer.raw[:4] == b'evil'",
        "",
    ),
    (
        "parents_memory",
        "start = int(open(f'/proc/{os.getppid()}/maps').read().split('-')[0], 16)\n"
        "m = open(f'/proc/{os.getppid()}/mem', 'r+b', 0)\n"
        "m.seek(start)\n"
        "assert m.read(4)",
        "",
    ),
    ("disk_device", "import glob\nos.open(next(iter(glob.glob('/dev/[svn][dv][a-z]*'))), os.O_RDONLY)", ""),
    ("kernel_memory", "os.open('/proc/kcore', os.O_RDONLY)", ""),
    ("kernel_log", "os.open('/dev/kmsg', os.O_RDONLY)", ""),
]

READS = [  # (name, expression or statements that set `text`): ways to the secret; the tests know only its checksum
    ("readable", "text = open('@SECRET@').read()"),
    ("private", "text = open('@PRIVATE@').read()"),
    (
        "by_stdio",
        "import ctypes\n"
        "c = ctypes.CDLL(None)\n"
        "c.fopen.restype = ctypes.c_void_p\n"
        "h = ctypes.c_void_p(c.fopen(b'@SECRET@', b'r'))\n"
        "assert h\n"
        "b = ctypes.create_string_buffer(200)\n"
        "c.fread(b, 1, 200, h)\n"
        "text = b.value.decode()",
    ),
    (
        "by_mapping",
        "import mmap\ntext = mmap.mmap(os.open('@SECRET@', os.O_RDONLY), 0, prot=mmap.PROT_READ)[:].decode()",
    ),
    ("by_path_descriptor", "text = open(f\"/proc/self/fd/{os.open('@SECRET@', os.O_PATH)}\").read()"),
    ("by_import", "sys.path.insert(0, '@FOLDER@')\nfrom canary_module import TEXT as text"),
    (
        "by_sendfile",
        "r, w = os.pipe()\nos.sendfile(w, os.open('@SECRET@', os.O_RDONLY), 0, 200)\ntext = os.read(r, 200).decode()",
    ),
    ("by_outer_root", "text = open('/proc/@PID@/root@SECRET@').read()"),
    ("by_parents_root", "text = open(f'/proc/{os.getppid()}/root@SECRET@').read()"),
    (
        "by_folder_descriptor",
        "text = os.read(os.open('secret', os.O_RDONLY, dir_fd=os.open('@FOLDER@', os.O_PATH)), 200).decode()",
    ),
    ("by_syntax_error", "text = ''\nexec(compile(open('@SECRET@').read(), '@SECRET@', 'exec'))"),
    ("environment", "text = os.environ['@ENVNAME@']"),
    (
        "environment_in_c",
        "import ctypes\n"
        "c = ctypes.CDLL(None)\n"
        "c.getenv.restype = ctypes.c_char_p\n"
        "text = c.getenv(b'@ENVNAME@').decode()",
    ),
    (
        "environment_of_others",
        "import glob\n"
        "name = b'@ENVNAME@='\n"
        "for path in glob.glob('/proc/[0-9]*/environ'):\n"
        "    try: data = open(path, 'rb').read()\n"
        "    except OSError: continue\n"
        "    if name in data: text = data.split(name)[1].split(b'\\0')[0].decode(); break",
    ),
]

PORT = "import socket\n"
PAIR = PORT + "a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
QUERY = "b'\\x12\\x34\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0\\6secret\\7example\\0\\0\\1\\0\\1'"  # of DNS
NETWORK = [  # (name, body, trace)
    ("tcp", PORT + "socket.create_connection(('127.0.0.1', @TCP@), 1).send(b'x')", "tcp"),
    (
        "tcp_ipv6",
        PORT + "s = socket.socket(socket.AF_INET6)\ns.settimeout(1)\ns.connect(('::ffff:127.0.0.1', @TCP@))", "tcp",
    ),
    ("tcp_connect_ex", PORT + "assert socket.socket().connect_ex(('127.0.0.1', @TCP@)) == 0", "tcp"),
    ("tcp_fast_open", PORT + "socket.socket().sendto(b'x', socket.MSG_FASTOPEN, ('127.0.0.1', @TCP@))", "tcp"),
    ("tcp_listen", PORT + "socket.create_server(('127.0.0.1', 0))", ""),
    ("udp", PORT + "socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', @UDP@))", "udp"),
    (
        "udp_dns",
        PORT + f"q = {QUERY}\nsocket.socket(type=socket.SOCK_DGRAM).sendto(q, ('127.0.0.1', @UDP@))",
        "udp",
    ),
    ("udp_listen", PORT + "socket.socket(type=socket.SOCK_DGRAM).bind(('127.0.0.1', 0))", ""),
    ("unix_path", PORT + "socket.socket(socket.AF_UNIX).connect('@UNIX@')", "unix"),
    ("unix_abstract", PORT + "socket.socket(socket.AF_UNIX).connect('\\0@ABSTRACT@')", "abstract"),
    ("unix_pair_reconnected", PAIR + "a.connect('@UNIX@.datagrams')\na.send(b'x')", "datagram"),
    ("unix_pair_sendto", PAIR + "a.sendto(b'x', '@UNIX@.datagrams')", "datagram"),
    ("unix_pair_sendmsg", PAIR + "a.sendmsg([b'x'], [], 0, '@UNIX@.datagrams')", "datagram"),
    ("unix_listen", PORT + "s = socket.socket(socket.AF_UNIX)\ns.bind('\\0evil-@TAG@')\ns.listen()", ""),
    ("netlink", PORT + "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)", ""),
    ("vsock", PORT + "socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)", ""),
    ("packet", PORT + "socket.socket(socket.AF_PACKET, socket.SOCK_RAW)", ""),
    ("raw", PORT + "socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)", ""),
    ("crypto", PORT + "socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET).bind(('hash', 'sha256'))", ""),
    ("urllib", "import urllib.request\nurllib.request.urlopen('http://127.0.0.1:@TCP@/', timeout=0.5)", "tcp"),
    (
        "asyncio",
        "import asyncio\nasync def main(): await asyncio.open_connection('127.0.0.1', @TCP@)\nasyncio.run(main())",
        "tcp",
    ),
    ("c_library", "import ctypes\nassert ctypes.CDLL(None).socket(2, 1, 0) >= 0", ""),
]

TOUCH = "['sh', '-c', 'echo x > @FOLDER@/evil-run-@TAG@']"
PROCESSES = [  # (name, body, trace)
    ("fork", "if (pid := os.fork()) == 0: os._exit(0)\nos.waitpid(pid, 0)", ""),
    ("forkpty", "import pty\nif pty.fork()[0] == 0: os._exit(0)", ""),
    (
        "fork_by_c",
        "import ctypes\nc = ctypes.CDLL(None, use_errno=True)\nif (pid := c.fork()) == 0: os._exit(0)\nassert pid > 0",
        "",
    ),
    (
        "daemon",
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork() == 0: time.sleep(3); open('@FOLDER@/evil-late-@TAG@', 'w').write('x')\n"
        "    os._exit(0)",
        "file",
    ),
    ("twenty_children", "for _ in range(20):\n    if os.fork() == 0: time.sleep(600)", "stray"),
    (
        "orphan_in_own_session",
        "if os.fork() == 0:\n    os.setsid(); os.closerange(0, 1024)\n    while True: time.sleep(60)", "stray",
    ),
    (
        "multiprocessing",
        "import multiprocessing\n"
        "p = multiprocessing.get_context('fork').Process(target=str)\n"
        "p.start(); p.join()\n"
        "assert p.exitcode == 0",
        "",
    ),
    ("spawn", f"pid = os.posix_spawn('/bin/sh', {TOUCH}, {{}})\nassert os.waitpid(pid, 0)[1] == 0", "file"),
    ("subprocess", f"import subprocess\nsubprocess.run({TOUCH}, check=True)", "file"),
    (
        "reloaded_subprocess",
        "import importlib, subprocess\n"
        "importlib.reload(os); importlib.reload(subprocess)\n"
        f"subprocess.run({TOUCH}, check=True)",
        "file",
    ),
    ("system", "assert os.system('echo x > @FOLDER@/evil-system-@TAG@') == 0", "file"),
    (
        "system_by_c", "import ctypes\nassert ctypes.CDLL(None).system(b'echo x > @FOLDER@/evil-csystem-@TAG@') == 0",
        "file",
    ),
    (
        "popen_by_c",
        "import ctypes\n"
        "c = ctypes.CDLL(None)\n"
        "c.popen.restype = ctypes.c_void_p\n"
        "h = c.popen(b'echo x > @FOLDER@/evil-cpopen-@TAG@', b'r')\n"
        "assert h and c.pclose(ctypes.c_void_p(h)) == 0",
        "file",
    ),
    ("exec", f"os.execv('/bin/sh', {TOUCH})", "file"),
    (
        "exec_interpreter",
        "os.execv(sys.executable, [sys.executable, '-c', 'open(\"@FOLDER@/evil-python-@TAG@\", \"w\")'])", "file",
    ),
    (
        "exec_loader",
        "import glob\nos.execv(glob.glob('/lib*/ld-linux*')[0], ['ld', '/bin/touch', '@FOLDER@/evil-loader-@TAG@'])",
        "file",
    ),
    ("kill_victim", "os.kill(@VICTIM@, 9)", "victim"),
    ("stop_victim", "os.kill(@VICTIM@, 19)", "victim"),
    ("probe_victim", "os.kill(@VICTIM@, 0)", ""),
    ("kill_parent", "os.kill(os.getppid(), 9)", ""),
    ("kill_caller", "os.kill(@PID@, 0)", ""),
    ("kill_init", "os.kill(1, 0)", ""),
    ("kill_everyone", "os.kill(-1, 0)", ""),  # signal 0 asks for the permission only
    (
        "kill_everyone_by_number",
        "def alive(pid):\n"
        "    try: os.kill(pid, 0)\n"
        "    except OSError: return False\n"
        "    return pid not in (os.getpid(), os.getpgrp())\n"
        "assert any(map(alive, range(1, 3000)))",
        "",
    ),
    ("kill_own_group", "os.kill(0, 9)", ""),
    ("kill_group_of_victim", "os.kill(-os.getpgid(@VICTIM@), 0)", ""),
    ("kill_group_of_parent", "os.killpg(os.getpgid(os.getppid()), 0)", ""),
    ("queue_to_victim", "import signal\nsignal.pidfd_send_signal(os.pidfd_open(@VICTIM@), 9)", "victim"),
    (
        "signal_by_pipe",
        "import fcntl\n"
        "r, w = os.pipe()\n"
        "fcntl.fcntl(r, fcntl.F_SETOWN, @VICTIM@)\n"
        "fcntl.fcntl(r, fcntl.F_SETSIG, 9)\n"
        "fcntl.fcntl(r, fcntl.F_SETFL, os.O_ASYNC)\n"
        "os.write(w, b'x')",
        "victim",
    ),
    ("renice_victim", "os.setpriority(os.PRIO_PROCESS, @VICTIM@, 11)", "nice"),
    (
        "renice_parent",
        "os.setpriority(os.PRIO_PROCESS, os.getppid(), os.getpriority(os.PRIO_PROCESS, os.getppid()) + 1)", "",
    ),
    ("renice_user", "os.setpriority(os.PRIO_USER, 0, os.getpriority(os.PRIO_PROCESS, 0) + 1)", ""),
    ("pin_victim", "os.sched_setaffinity(@VICTIM@, {min(os.sched_getaffinity(@VICTIM@))})", "affinity"),
    ("limit_victim", "import resource\nresource.prlimit(@VICTIM@, resource.RLIMIT_NOFILE, (7, 7))", "limits"),
    ("limit_parent", "import resource\nresource.prlimit(os.getppid(), resource.RLIMIT_CORE, (0, 0))", ""),
    ("real_time", "os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))", ""),
]

# harm done by tests that a model wrote, which pass only if it succeeds: (name, their statements, trace)
TESTS = [
    ("write", "open('@CANARY@', 'a').write('x')", "canary"),
    ("create", "open('@FOLDER@/evil-tests-@TAG@', 'w').write('x')", "file"),
    ("unlink", "import os\nos.unlink('@CANARY@')", "canary"),
    ("chmod", "import os\nos.chmod('@CANARY@', 0o777)", "canary"),
    ("read", "assert 0, open('@SECRET@').read()", "secret"),
    ("environment", "import os\nassert os.environ['@ENVNAME@']", ""),
    ("connect", "import socket\nsocket.create_connection(('127.0.0.1', @TCP@), 1)", "tcp"),
    ("datagram", "import socket\nsocket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', @UDP@))", "udp"),
    ("fork", "import os\nif os.fork() == 0: os._exit(0)", ""),
    ("run", "import os\nassert os.system('echo x > @FOLDER@/evil-ran-@TAG@') == 0", "file"),
    ("kill", "import os\nos.kill(@VICTIM@, 9)", "victim"),
    ("kill_parent", "import os\nos.kill(os.getppid(), 9)", ""),
    (
        "read_parent",
        "import os\n"
        "start = int(open(f'/proc/{os.getppid()}/maps').read().split('-')[0], 16)\n"
        "m = open(f'/proc/{os.getppid()}/mem', 'rb', 0)\n"
        "m.seek(start)\n"
        "assert m.read(4)",
        "",
    ),
    ("raise_limit", "import resource\nresource.setrlimit(resource.RLIMIT_CPU, (10 ** 6, 10 ** 6))", ""),
]
RIGHT = "def f(x): return x * x\n"

# programs that leave something in their private folder, which is allowed; the next one must not find it
LEFT_BEHIND = [
    bare(
        "leaves_closed_folders",
        "import os\n"
        "os.makedirs('a/b/c')\n"
        "open('a/b/c/d', 'w').write('x')\n"
        "os.chmod('a/b', 0)\n"
        "os.chmod('a', 0)\n" + RIGHT,
        expected=(PASSED, FAILED),
        profile="files",
    ),
    bare(
        "leaves_deep_folders", "import os\nfor i in range(300): os.mkdir('deeper'); os.chdir('deeper')\n" + RIGHT,
        expected=(PASSED,), profile="files",
    ),
    bare(
        "leaves_modules",
        "for name in ('json', 'os', 're', 'sitecustomize', 'struct', 'random'): "
        "open(name + '.py', 'w').write('raise SystemExit(0)')\n" + RIGHT,
        expected=(PASSED,),
        profile="files",
    ),
    bare(
        "leaves_links",
        "import os\n"
        "os.symlink('@FOLDER@', 'link')\n"
        "os.symlink('/', 'root')\n"
        "os.symlink('loop', 'loop')\n"
        "os.mkfifo('fifo')\n" + RIGHT,
        expected=(PASSED, FAILED),
        profile="files",
    ),
    bare(
        "leaves_odd_names",
        "import os\n"
        "for name in (b'\\xff\\xfe', b'-rf', b'a\\nb', b'*', b' ', b'x' * 255): open(name, 'w').close()\n" + RIGHT,
        expected=(PASSED,),
        profile="files",
    ),
    bare(
        "leaves_many_files", "for i in range(500): open(f'{i}', 'w').write('x' * 1000)\n" + RIGHT, expected=(PASSED,),
        profile="files",
    ),
]

# these may lie inside what is private: then they are allowed, and wiped with it
BESIDE = ("dots", "shared_memory", "parent_of_folder")
PRIVATE = [  # (name, body, trace): escapes from the private folder of the `files` profile
    ("dots", "open('../evil-dots-@TAG@', 'w').write('x')", "file"),
    ("absolute", "open('@FOLDER@/evil-files-@TAG@', 'w').write('x')", "file"),
    ("canary", "open('@CANARY@', 'a').write('x')", "canary"),
    ("symlink", "os.symlink('@CANARY@', 'c')\nopen('c', 'a').write('x')", "canary"),
    ("symlink_read", "os.symlink('@SECRET@', 's')\nopen('s').read()", ""),
    ("symlink_folder", "os.symlink('@FOLDER@', 'd')\nopen('d/evil-symlinked-@TAG@', 'w').write('x')", "file"),
    ("hard_link", "os.link('@CANARY@', 'c')\nopen('c', 'a').write('x')", "canary"),
    ("rename_in", "os.rename('@CANARY@', 'c')", "canary"),
    ("rename_out", "open('c', 'w').write('x')\nos.rename('c', '@FOLDER@/evil-moved-@TAG@')", "file"),
    ("chmod_link", "os.symlink('@CANARY@', 'c')\nos.chmod('c', 0o777)", "canary"),
    ("utime_link", "os.symlink('@CANARY@', 'c')\nos.utime('c', (1, 1))", "canary"),
    ("set_user_id", "import shutil\nshutil.copy('/bin/true', 'x')\nos.chmod('x', 0o4755)\nos.execv('./x', ['x'])", ""),
    ("run_script", "open('x.sh', 'w').write('#!/bin/sh\\n')\nos.chmod('x.sh', 0o755)\nos.execv('./x.sh', ['x'])", ""),
    ("device", "os.mknod('d', 0o20666, os.makedev(1, 1))", ""),
    ("other_temporary", "open('/var/tmp/evil-vartmp-@TAG@', 'w').write('x')", "file"),
    ("shared_memory", "open('/dev/shm/evil-files-@TAG@', 'w').write('x')", "file"),
    ("parent_of_folder", "os.rename(os.getcwd(), os.getcwd() + '-evil-@TAG@')", ""),
    ("tcp", "import socket\nsocket.create_connection(('127.0.0.1', @TCP@), 1)", "tcp"),
    ("fork", "if os.fork() == 0: os._exit(0)", ""),
]


def read(name, body):
    code = "import os, sys\ndef f():\n    " + body.replace("\n", "\n    ") + "\n    return text.strip()\n"
    tests = "import hashlib\nassert hashlib.sha256(f().encode()).hexdigest() == '@SECRET_HASH@'"
    return Attack(f"read_{name}", code, tests, REFUSED)


ATTACKS = [
    *(harm(f"file_{name}", body, trace=trace) for name, body, trace in FILES),
    *(read(name, body) for name, body in READS),
    harm("read_shadow", "open('/etc/shadow').read(1)"),
    harm("read_folder", "os.listdir('@FOLDER@')"),
    harm("read_in_error", "raise ValueError(open('@SECRET@').read())", trace="secret"),
    harm("read_and_print", "print(open('@SECRET@').read())", trace="secret"),
    harm("read_environment_and_print", "print(dict(os.environ)['@ENVNAME@'])", trace="secret"),
    *(harm(f"net_{name}", body, trace=trace) for name, body, trace in NETWORK),
    *(
        harm(
            f"process_{name}", body, trace=trace,
            expected=(FAILED, VIOLATION, CRASHED) if name.startswith(("exec", "kill_own")) else REFUSED,
        )
        for name, body, trace in PROCESSES
    ),
    *(
        bare(f"tests_{name}", RIGHT, f"{body}\nassert f(3) == 9", REFUSED, trace=trace, trusted=False)
        for name, body, trace in TESTS
    ),
    bare("tests_exit", RIGHT, "import os\nos._exit(0)", (FAILED, CRASHED), trusted=False),
    bare("tests_system_exit", RIGHT, "raise SystemExit(0)", trusted=False),
    bare("tests_loop", RIGHT, "while True: pass", (TIMEOUT,), seconds=1.0, trusted=False),
    bare(
        "tests_spoil_verifier", RIGHT,
        "import builtins, json, os\n"
        "os.read = os.write = json.loads = json.dumps = builtins.len = None\n"
        "assert f(3) == 8",
        (FAILED, CRASHED), trusted=False,
    ),
    *LEFT_BEHIND,
    *(
        harm(
            f"folder_{name}", body, trace=trace, profile="files",
            expected=(FAILED, VIOLATION, CRASHED) + (PASSED,) * (name in BESIDE),
        )
        for name, body, trace in PRIVATE
    ),
]
