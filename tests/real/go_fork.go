// A Go program that forks by itself: the child has one thread of the runtime's, and hangs when the garbage collector wants
// the others. `exec`: it starts a program as Go means it, which is well.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
)

func work(jobs chan int, done *sync.WaitGroup) {
	for n := range jobs {
		if n < 0 {
			panic(n)
		}
		done.Done()
	}
}

//go:noinline
func collectGarbage() {
	var kept [][]byte
	for i := 0; i < 100000; i++ {
		kept = append(kept, make([]byte, 10000))
		if len(kept) > 100 {
			kept = nil
		}
	}
}

//go:noinline
func forkAndWait() int {
	pid, _, errno := syscall.RawSyscall(syscall.SYS_FORK, 0, 0, 0)
	if errno != 0 {
		panic(errno)
	}
	if pid == 0 {
		collectGarbage()
		os.Exit(0)
	}
	var status syscall.WaitStatus
	syscall.Wait4(int(pid), &status, 0, nil)
	return status.ExitStatus()
}

func main() {
	jobs := make(chan int)
	var done sync.WaitGroup
	for i := 0; i < 100; i++ {
		go work(jobs, &done)
	}
	done.Add(1000)
	for i := 0; i < 1000; i++ {
		jobs <- i
	}
	done.Wait()
	if len(os.Args) > 1 && os.Args[1] == "exec" {
		collectGarbage()
		out, err := exec.Command("/bin/echo", "well").Output()
		fmt.Print(string(out), err, "\n")
		return
	}
	fmt.Println("fork")
	os.Exit(forkAndWait())
}
