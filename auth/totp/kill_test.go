package totp

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"doorward/store/badger"
)

const (
	killDir  = "DOORWARD_TEST_KILL_DIR"
	killCode = "DOORWARD_TEST_KILL_CODE"
)

// TestKilledBetweenTryAndAnswer runs a process that is killed with the try spent and the answer not given: the try stays spent, the code was
// not burned.
func TestKilledBetweenTryAndAnswer(t *testing.T) {
	if dir := os.Getenv(killDir); dir != "" {
		dieAfterTry(t, dir)
	}
	b := newBench(t)
	uri := b.enrolled(t, owner)
	code := b.code(t, uri, 0)
	if err := b.store.Close(); err != nil {
		t.Fatal(err)
	}
	child := exec.Command(os.Args[0], "-test.run=^TestKilledBetweenTryAndAnswer$")
	child.Env = append(os.Environ(), killDir+"="+b.dir, killCode+"="+code)
	out, err := child.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("the process was not killed: %v\n%s", err, out)
	}
	s, err := badger.Open(storeConfig(b.dir))
	if err != nil {
		t.Fatal(err)
	}
	b.use(t, s)
	if st, err := b.Standing(t.Context(), owner); err != nil || st.TriesLeft != 4 {
		t.Errorf("after the kill: %+v, %v", st, err)
	}
	if r := b.try(t, owner, code); r != Accepted {
		t.Errorf("the code that nobody got an answer to: %q", r)
	}
}

// dieAfterTry is the process: it looks at the code, and dies before it can burn or answer.
func dieAfterTry(t *testing.T, dir string) {
	s, err := badger.Open(storeConfig(dir))
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{dir: dir, at: time.Date(2026, 3, 1, 8, 2, 7, 0, time.UTC)} // as newBench and enrolled leave it
	b.use(t, s)
	try, why, err := b.Reserve(t.Context(), owner, time.Time{})
	if err != nil || why != Accepted {
		t.Fatal(why, err)
	}
	if _, why, err := try.Verify(os.Getenv(killCode)); err != nil || why != Accepted {
		t.Fatal(why, err)
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	select {}
}
