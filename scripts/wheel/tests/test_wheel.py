"""Tests of the installed package: python -m unittest, in an environment that has it. No other package is needed.

UC_TEST_DIR names a folder for the models that the tests train, so that they need not be trained again."""

import json
import logging
import os
import pathlib
import shutil
import signal
import stat
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
import unittest
import warnings

import universalclassifier
from universalclassifier import _predict, _server, predict, predict_many

UC = os.path.join(sysconfig.get_path("scripts"), "uc.exe" if sys.platform == "win32" else "uc")
POSIX = os.name == "posix"
TASK = "Task900_Phantom"


def uc(*args):
    r = subprocess.run([UC, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if r.returncode:
        raise AssertionError(f"uc {' '.join(args)}: {r.stderr.decode()}")
    return r.stdout.decode()


def setUpModule():
    """Trains the shortest of models on phantoms: two folds and all cases."""
    global folder, root, raw, artifact, folds
    folder = os.environ.get("UC_TEST_DIR") or tempfile.mkdtemp(prefix="uc-wheel-")
    os.makedirs(folder, exist_ok=True)
    os.chmod(folder, 0o755)  # another user is to read it
    root = os.path.join(folder, "data")
    raw = pathlib.Path(root, "raw", "nnUNet_raw_data", TASK)
    artifact, folds = os.path.join(folder, "artifact"), os.path.join(folder, "folds")
    if os.path.exists(folds):
        return
    uc("demo", root, "--cases", "10", "--test-cases", "3", "--seed", "3")
    uc("plan-and-preprocess", "--data-root", root, "-t", "900")
    for fold in ("all", "0", "1"):
        uc("train", "--data-root", root, "3d_fullres", "ClassifierTrainer", "900", fold,
           "--epochs", "1", "--iterations", "2", "--val-iterations", "1", "--batch-size", "2", "--seed", "7")
    uc("package", "--data-root", root, "-t", "900", "-o", artifact)
    uc("package", "--data-root", root, "-t", "900", "-f", "0", "1", "-o", folds)


def tearDownModule():
    if not os.environ.get("UC_TEST_DIR"):
        shutil.rmtree(folder)


def case(i):
    """The files of a held-out case."""
    name = f"phantom_test_{i:03d}"
    return [str(raw / "imagesTs" / f"{name}_0000.nii.gz")], str(raw / "labelsTs" / f"{name}.nii.gz")


def duplicate(model):
    """Returns a copy of an artifact."""
    copy = os.path.join(tempfile.mkdtemp(dir=folder), "copy")
    shutil.copytree(model, copy)
    return copy


def python(code, *args, env=None, **options):
    """Runs code in a Python of its own."""
    return subprocess.run([sys.executable, "-c", code, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env,
                          cwd=folder, timeout=120, **options)


def alive(pid):
    """Tells whether a process runs; a zombie does not."""
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        if sys.platform.startswith("linux"):
            return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def ends(pid):
    """Waits for the end of a process that is no child of this one."""
    for _ in range(200):
        if not alive(pid):
            return True
        time.sleep(0.05)
    return False


class Results(unittest.TestCase):
    def test_equal_to_the_command_line(self):
        out = tempfile.mkdtemp(dir=folder)
        uc("predict", "--data-root", root, "-i", str(raw / "imagesTs"), "-s", str(raw / "labelsTs"), "-o", out, "-t", "900", "-f", "all",
           "--disable_tta", "--disable_mixed_precision")
        with open(os.path.join(out, "predictions.json")) as f:
            expected = {c["case"]: [label["probabilities"] for label in c["labels"]] for c in json.load(f)["cases"]}
        for i in (1, 2, 3):
            got = predict(artifact, *case(i))
            lesion, size = expected[f"phantom_test_{i:03d}"]
            self.assertIs(type(got), list)
            self.assertIs(type(got[0]), float)  # two classes: that of class 1
            self.assertIs(type(got[1]), list)
            self.assertAlmostEqual(got[0], lesion[1], delta=1e-6)
            self.assertEqual(len(got[1]), 3)
            for a, b in zip(got[1], size):
                self.assertIs(type(a), float)
                self.assertAlmostEqual(a, b, delta=1e-6)
            self.assertAlmostEqual(sum(got[1]), 1, delta=1e-6)
            self.assertEqual(json.loads(json.dumps(got)), got)
        self.assertNotEqual(predict(artifact, *case(1)), predict(artifact, *case(2)))

    def test_certain_answers_are_floats(self):
        call = _server.Call(_server.get(), 0)
        call.result = {"probabilities": json.loads("[[0,1],[1,0,0]]")}  # as 1.0 is written in JSON
        got = _predict._outcome(call)
        self.assertEqual(got, [1.0, [1.0, 0.0, 0.0]])
        self.assertEqual([type(v) for v in [got[0], *got[1]]], [float] * 4)

    def test_kinds_of_paths(self):
        (image,), mask = case(1)
        expected = predict(artifact, [image], mask)
        here = os.getcwd()
        try:
            os.chdir(raw / "imagesTs")
            self.assertEqual(predict(os.path.relpath(artifact), (pathlib.Path(os.path.basename(image)),), os.path.relpath(mask)), expected)
        finally:
            os.chdir(here)
        other = os.path.join(folder, "any name é.nii.gz")
        shutil.copy(image, other)
        self.assertEqual(predict(pathlib.Path(artifact), [pathlib.Path(other)], pathlib.Path(mask)), expected)

    def test_folds(self):
        each = [predict(folds, *case(1), folds=f) for f in (0, "1")]
        self.assertNotEqual(each[0], each[1])
        mean = predict(folds, *case(1), folds=(0, 1))
        self.assertAlmostEqual(mean[0], (each[0][0] + each[1][0]) / 2, delta=1e-6)
        self.assertEqual(predict(folds, *case(1), folds=[1, 0]), mean)
        self.assertEqual(predict(folds, *case(1), folds="None"), mean)
        self.assertEqual(predict(artifact, *case(1), folds="all"), predict(artifact, *case(1)))

    def test_without_all_the_folds_are_averaged_and_it_is_said_once(self):
        copy = duplicate(folds)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            first = predict(copy, *case(1))
            second = predict(copy, *case(2))
            self.assertEqual([first, second], [predict(folds, *case(i), folds=[0, 1]) for i in (1, 2)])
        self.assertEqual(len(said), 1)
        self.assertIn("mean over folds 0, 1", str(said[0].message))
        self.assertEqual(said[0].filename, __file__)

    def test_mirroring(self):
        plain, mirrored = predict(artifact, *case(1)), predict(artifact, *case(1), mirroring=True)
        self.assertNotEqual(plain, mirrored)
        self.assertAlmostEqual(plain[0], mirrored[0], delta=0.1)
        mixed = predict(artifact, *case(1), disable_mixed_precision=False, threads=1, device="cpu")
        self.assertAlmostEqual(plain[0], mixed[0], delta=0.02)

    def test_many(self):
        cases = [case(1 + i % 3) for i in range(7)]
        expected = [predict(artifact, *c) for c in cases]
        self.assertEqual(predict_many(artifact, [i for i, _ in cases], [m for _, m in cases]), expected)
        self.assertEqual(predict_many(artifact, []), [])
        images, masks = [i for i, _ in cases], [m for _, m in cases]
        images[2] = [artifact]
        with self.assertRaises(ValueError):
            predict_many(artifact, images, masks)
        got = predict_many(artifact, images, masks, return_exceptions=True)
        self.assertIsInstance(got[2], ValueError)
        self.assertEqual(got[:2] + got[3:], expected[:2] + expected[3:])

    def test_command_and_version(self):
        self.assertIn("uc ", uc("version"))
        r = subprocess.run([UC, "predict"], stderr=subprocess.PIPE)
        self.assertEqual(r.returncode, 2)
        self.assertIn("passed", uc("check-artifact", artifact))
        self.assertTrue(universalclassifier.__version__)
        for f in (predict, predict_many, universalclassifier):
            self.assertTrue(f.__doc__)
        self.assertTrue(os.path.exists(os.path.join(os.path.dirname(universalclassifier.__file__), "py.typed")))


class Container(unittest.TestCase):
    """process.py of scripts/container, which lies beside these tests."""

    def test_process(self):
        (image,), mask = case(1)
        top = pathlib.Path(tempfile.mkdtemp(dir=folder))
        for name, source in (("ct", image), ("mask", mask)):
            (top / "images" / name).mkdir(parents=True)
            shutil.copy(source, top / "images" / name / "1.2.840.nii.gz")
        config = {"input_interfaces": ["ct-image"], "roi_segmentation_interface": "mask", "output_interfaces": ["lesion", "size"], "names": {"ct-image": "ct"}}
        (top / "task_config.json").write_text(json.dumps(config))
        process = os.path.join(os.path.dirname(os.path.abspath(__file__)), "process.py")
        r = subprocess.run([sys.executable, process, "--input", str(top), "--output", str(top), "--artifact", artifact, "--config",
                            str(top / "task_config.json")], stderr=subprocess.PIPE)
        self.assertEqual((r.returncode, r.stderr), (0, b""))
        self.assertEqual([json.loads((top / n).read_text()) for n in ("lesion.json", "size.json")], predict(artifact, [image], mask))


class Errors(unittest.TestCase):
    def test_input(self):
        images, mask = case(1)
        broken = os.path.join(folder, "broken.nii.gz")
        with open(broken, "wb") as f:
            f.write(b"no image")
        for args, options, text in (
            ((artifact, images * 2, mask), {}, "2 images"),
            ((artifact, [], mask), {}, "no image"),
            ((artifact, images), {}, "no mask"),
            ((artifact, images[0], mask), {}, "expected a list of paths"),
            ((artifact, [broken], mask), {}, broken),
            ((artifact, [""], mask), {}, "not a path"),
            ((artifact, images, mask), {"model": "2d"}, "3d_fullres"),
            ((artifact, images, mask), {"trainer_class_name": "../x"}, "plain name"),
            ((artifact, images, mask), {"checkpoint_name": "../x"}, "plain name"),
            ((artifact, images, mask), {"folds": []}, "folds is empty"),
            ((artifact, images, mask), {"folds": "zero"}, 'fold "zero"'),
            ((artifact, images, mask), {"folds": [0, 0]}, "twice"),
            ((artifact, images, mask), {"threads": 0}, "threads"),
        ):
            with self.subTest(text), self.assertRaises(ValueError) as caught:
                predict(*args, **options)
            self.assertIn(text, str(caught.exception))
        self.assertEqual(predict(artifact, images, mask), predict(artifact, images, mask))  # all is well afterwards

    def test_not_found(self):
        images, mask = case(1)
        empty = tempfile.mkdtemp(dir=folder)
        for args, options, text in (
            ((artifact + "x", images, mask), {}, artifact + "x"),
            ((empty, images, mask), {}, empty),
            ((artifact, [images[0] + "x"], mask), {}, images[0] + "x"),
            ((artifact, images, mask), {"folds": [0]}, "fold 0 is not trained"),
            ((artifact, images, mask), {"checkpoint_name": "model_best"}, "model_best"),
            ((artifact, images, mask), {"trainer_class_name": "Other"}, "Other__"),
        ):
            with self.subTest(text), self.assertRaises(FileNotFoundError) as caught:
                predict(*args, **options)
            self.assertIn(text, str(caught.exception))

    def test_the_rest(self):
        damaged = duplicate(artifact)
        weights = next(pathlib.Path(damaged).rglob("*.safetensors"))
        with open(weights, "r+b") as f:
            f.truncate(1000)
        with self.assertRaises(RuntimeError) as caught:
            predict(damaged, *case(1))
        self.assertIn(str(weights), str(caught.exception))
        no_task = tempfile.mkdtemp(dir=folder)
        os.makedirs(os.path.join(no_task, "nnUNet", "3d_fullres", "Heart"))
        with self.assertRaisesRegex(RuntimeError, "Task"):
            predict(no_task, *case(1))


class Child(unittest.TestCase):
    def test_model_stays_loaded(self):
        copy = duplicate(artifact)
        with self.assertLogs("universalclassifier", logging.INFO) as log:
            predict(copy, *case(1))
            child = _server.get().process.pid
            for _ in range(3):
                predict(copy, *case(1))
        self.assertEqual(_server.get().process.pid, child)
        self.assertEqual(sum("network on" in line for line in log.output), 1, log.output)

    def test_changed_artifact_is_noticed(self):
        copy = duplicate(artifact)
        before = predict(copy, *case(1))
        weights = next(pathlib.Path(copy).rglob("*.safetensors"))
        other = next(pathlib.Path(folds).rglob("fold_0/*.safetensors"))
        was = os.stat(weights)
        shutil.copy(other, weights)
        os.utime(weights, ns=(was.st_atime_ns, was.st_mtime_ns))
        self.assertEqual(predict(copy, *case(1)), predict(folds, *case(1), folds=0))
        self.assertNotEqual(predict(copy, *case(1)), before)

    def test_threads(self):
        expected = [predict(artifact, *case(i)) for i in (1, 2, 3)]
        got = {}

        def work(n):
            got[n] = predict(artifact, *case(1 + n % 3))
        threads = [threading.Thread(target=work, args=(n,)) for n in range(12)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual([got.get(n) for n in range(12)], [expected[n % 3] for n in range(12)])

    @unittest.skipUnless(POSIX, "signals")
    def test_child_that_was_killed(self):
        expected = predict(artifact, *case(1))
        for _ in range(2):
            child = _server.get().process
            child.kill()
            child.wait()
            self.assertEqual(predict(artifact, *case(1)), expected)
        server = _server.get()
        os.kill(server.process.pid, signal.SIGSTOP)
        call = server.send("predict", {})
        os.kill(server.process.pid, signal.SIGKILL)
        call.wait()
        self.assertIn("signal 9", str(call.gone))

    @unittest.skipUnless(POSIX, "signals")
    def test_ends_with_python(self):
        code = """if True:
            import os, signal, sys, threading, time
            from universalclassifier import _server, predict
            artifact, image, mask, how = sys.argv[1:]
            predict(artifact, [image], mask)
            print(_server.get().process.pid, flush=True)
            if how == "busy":
                for _ in range(50):
                    threading.Thread(target=predict, args=(artifact, [image], mask), kwargs={"mirroring": True}, daemon=True).start()
                time.sleep(0.5)
            if how == "fork" and os.fork() == 0:
                os.kill(os.getppid(), signal.SIGKILL)
                time.sleep(60)
            if how == "exit":
                sys.exit(0)
            if how != "fork":
                os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(60)
            """
        (image,), mask = case(1)
        for how, code_of_exit in (("exit", 0), ("kill", -9), ("busy", -9), ("fork", -9)):
            with self.subTest(how):
                p = subprocess.Popen([sys.executable, "-c", code, artifact, image, mask, how], stdout=subprocess.PIPE, cwd=folder)
                child = int(p.stdout.readline())
                self.assertEqual(p.wait(60), code_of_exit)
                self.assertTrue(ends(child), "the child lives on")
                p.stdout.close()

    @unittest.skipUnless(POSIX, "fork")
    def test_fork_has_a_child_of_its_own(self):
        expected = predict(artifact, *case(1))
        mine = _server.get().process.pid
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                got = predict(artifact, *case(1))
                os.write(writer, json.dumps([got, _server.get().process.pid]).encode())
                _server.get().close()
            finally:
                os._exit(0)
        os.close(writer)
        with os.fdopen(reader) as f:
            got, other = json.load(f)
        os.waitpid(pid, 0)
        self.assertEqual(got, expected)
        self.assertNotEqual(other, mine)
        self.assertEqual(predict(artifact, *case(1)), expected)
        self.assertEqual(_server.get().process.pid, mine)

    @unittest.skipUnless(POSIX, "signals")
    def test_ctrl_c_leaves_the_child_alone(self):
        code = """if True:
            import os, signal, sys
            from universalclassifier import _server, predict
            signal.signal(signal.SIGINT, signal.default_int_handler)  # in a shell's background it is ignored
            args = (sys.argv[1], [sys.argv[2]], sys.argv[3])
            first = predict(*args)
            child = _server.get().process.pid
            try:
                os.killpg(0, signal.SIGINT)
                signal.pause()
            except KeyboardInterrupt:
                pass
            assert predict(*args) == first
            assert _server.get().process.pid == child
            """
        (image,), mask = case(1)
        r = python(code, artifact, image, mask, start_new_session=True)
        self.assertEqual((r.returncode, r.stderr), (0, b""))


class Surroundings(unittest.TestCase):
    """What containers on a platform allow: no home, another user, nothing to write to, 256 processes."""

    @unittest.skipUnless(POSIX, "permissions")
    def test_nothing_is_written(self):
        copy = duplicate(artifact)

        def tree():
            return sorted((str(p), p.stat().st_mtime_ns, p.stat().st_mode) for p in pathlib.Path(copy).rglob("*"))
        for p in [pathlib.Path(copy), *pathlib.Path(copy).rglob("*")]:
            p.chmod(0o555 if p.is_dir() else 0o444)
        before = tree()
        predict(copy, *case(1))
        self.assertEqual(tree(), before)
        for p in [pathlib.Path(copy), *pathlib.Path(copy).rglob("*")]:
            p.chmod(0o755 if p.is_dir() else 0o644)

    @unittest.skipUnless(POSIX, "users")
    def test_bare_surroundings(self):
        code = """if True:
            import json, os, resource, sys
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))      # no file can be written
            if os.getuid() == 0:
                os.setgroups([])
                os.setgid(54321)
                os.setuid(54321)
            resource.setrlimit(resource.RLIMIT_NPROC, (256, 256))
            os.chdir("/")
            from universalclassifier import predict
            result = predict(sys.argv[1], [sys.argv[2]], sys.argv[3])
            os.write(1, json.dumps(result).encode())
            """
        (image,), mask = case(1)
        env = {"GOMAXPROCS": "512", "PYTHONDONTWRITEBYTECODE": "1"}  # neither HOME nor PATH
        for p in (sys.prefix, sys.executable, universalclassifier.__file__):
            if os.getuid() == 0 and not all(os.stat(d).st_mode & stat.S_IXOTH for d in pathlib.Path(p).resolve().parents):
                self.skipTest(f"another user cannot reach {p}")
        r = python(code, artifact, image, mask, env=env)
        self.assertEqual((r.returncode, r.stderr), (0, b""))
        self.assertEqual(json.loads(r.stdout), predict(artifact, [image], mask))


if __name__ == "__main__":
    unittest.main()
