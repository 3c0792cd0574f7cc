//go:build cgo

#include "guard.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>

#include <pthread.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <opencv2/core.hpp>

namespace {

// address_space is how much this process has mapped, in bytes. The race detector
// and Go's heap map far more than they use, so a limit can only be set on top.
int64_t address_space() {
	long pages = 0;
	if (FILE *f = std::fopen("/proc/self/statm", "r")) {
		if (std::fscanf(f, "%ld", &pages) != 1) pages = 0;
		std::fclose(f);
	}
	return static_cast<int64_t>(pages) * sysconf(_SC_PAGESIZE);
}

void limit(int what, rlim_t value) {
	rlimit l;
	if (getrlimit(static_cast<__rlimit_resource_t>(what), &l) != 0) return;
	if (l.rlim_max == RLIM_INFINITY || value < l.rlim_max) l.rlim_cur = value;
	setrlimit(static_cast<__rlimit_resource_t>(what), &l);
}

// child tries the model and never returns. Only the thread that called fork lives
// in it, so it must not enter Go again: Go's signal handlers are taken off before
// signals are let in, and OpenCV is held to this one thread.
[[noreturn]] void child(int to, const uint8_t *model, size_t n, int size, int64_t max_bytes, int seconds) {
	struct sigaction plain;
	std::memset(&plain, 0, sizeof plain);
	plain.sa_handler = SIG_DFL;
	for (int s = 1; s < NSIG; s++) sigaction(s, &plain, nullptr);
	sigset_t none;
	sigemptyset(&none);
	pthread_sigmask(SIG_SETMASK, &none, nullptr);
	alarm(static_cast<unsigned>(seconds));
	limit(RLIMIT_CORE, 0);
	int64_t mapped = address_space();
	if (mapped > 0) limit(RLIMIT_AS, static_cast<rlim_t>(mapped + max_bytes));
	cv::setNumThreads(1);

	se_trial trial;
	se_try_model(model, n, size, &trial);
	ssize_t written = write(to, &trial, sizeof trial);
	_exit(written == static_cast<ssize_t>(sizeof trial) ? 0 : 1);
}

void failed(se_trial *out, const char *what) {
	out->outputs = -1;
	std::snprintf(out->error, sizeof out->error, "%s", what);
}

// collect reads the child's answer and its end.
void collect(pid_t pid, int from, int seconds, se_trial *out) {
	size_t got = 0;
	while (got < sizeof *out) {
		ssize_t r = read(from, reinterpret_cast<char *>(out) + got, sizeof *out - got);
		if (r < 0 && errno == EINTR) continue;
		if (r <= 0) break;
		got += static_cast<size_t>(r);
	}
	int status = 0;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
	}
	if (got == sizeof *out) return;
	out->outputs = -1;
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
		std::snprintf(out->error, sizeof out->error, "it does not end within %d s", seconds);
	else if (WIFSIGNALED(status))
		std::snprintf(out->error, sizeof out->error, "it kills OpenCV (signal %d)", WTERMSIG(status));
	else
		failed(out, "the process that tries it ended without an answer");
}

} // namespace

void se_try_model_apart(const uint8_t *model, size_t n, int size, int64_t max_bytes, int seconds, se_trial *out) {
	std::memset(out, 0, sizeof *out);
	int ends[2];
	if (pipe(ends) != 0) return failed(out, "no pipe to a process that tries it");
	// No signal may run Go's handler in the child before it is taken off.
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pid_t pid = fork();
	if (pid == 0) {
		close(ends[0]);
		child(ends[1], model, n, size, max_bytes, seconds);
	}
	pthread_sigmask(SIG_SETMASK, &before, nullptr);
	close(ends[1]);
	if (pid < 0)
		failed(out, "no process to try it in");
	else
		collect(pid, ends[0], seconds, out);
	close(ends[0]);
}
