// The driver's face on standard input and output: blocks of memory, copies, launches.

#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "cuda.h"

Thread* running;
Dimensions blockIdx, blockDim, gridDim;

namespace {

constexpr int WARP = 32, MOST_VALUES = 16;
constexpr size_t STACK = 1 << 17;

enum State { READY, AT_BLOCK_BARRIER, AT_WARP_BARRIER, DONE };

struct Coroutine {
    Thread thread;
    State state;
    ucontext_t start;
    jmp_buf at;
    bool started;
    unsigned exchanges;
};

std::vector<Coroutine*> coroutines;
jmp_buf scheduler;
unsigned slots[1024 / WARP][2][WARP * MOST_VALUES]; // by turns, as a fast thread may already be at its next exchange

void (*kernel)(void* const*);
void* const* kernelArgs;

void wait(State s) {
    Coroutine* c = (Coroutine*)running;
    c->state = s;
    if (_setjmp(c->at) == 0) _longjmp(scheduler, 1);
}

void threadMain() {
    for (;;) {
        kernel(kernelArgs);
        wait(DONE);
    }
}

void resume(Coroutine* c) {
    running = &c->thread;
    if (_setjmp(scheduler) != 0) return;
    if (c->started) _longjmp(c->at, 1);
    c->started = true;
    setcontext(&c->start);
}

// Sets free the threads [from, to) that wait at a barrier when all that are not done have reached it.
bool release(size_t from, size_t to, State barrier) {
    bool any = false;
    for (size_t i = from; i < to; i++) {
        if (coroutines[i]->state == barrier) any = true;
        else if (coroutines[i]->state != DONE) return false;
    }
    for (size_t i = from; i < to; i++) {
        if (coroutines[i]->state == barrier) coroutines[i]->state = READY;
    }
    return any;
}

// Runs one block; false when threads wait for others that will not come.
bool runBlock() {
    size_t n = (size_t)blockDim.x * blockDim.y * blockDim.z;
    while (coroutines.size() < n) {
        Coroutine* c = new Coroutine();
        getcontext(&c->start);
        c->start.uc_stack.ss_sp = mmap(nullptr, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        c->start.uc_stack.ss_size = STACK;
        makecontext(&c->start, threadMain, 0);
        coroutines.push_back(c);
    }
    for (size_t i = 0; i < n; i++) {
        unsigned at = (unsigned)i;
        coroutines[i]->thread = {{at % blockDim.x, at / blockDim.x % blockDim.y, at / blockDim.x / blockDim.y}, at};
        coroutines[i]->state = READY;
        coroutines[i]->exchanges = 0;
    }
    for (;;) {
        bool progress = false, live = false;
        for (size_t i = 0; i < n; i++) {
            if (coroutines[i]->state != READY) continue;
            resume(coroutines[i]);
            progress = true;
        }
        for (size_t w = 0; w < n; w += WARP) progress |= release(w, w + WARP < n ? w + WARP : n, AT_WARP_BARRIER);
        progress |= release(0, n, AT_BLOCK_BARRIER);
        for (size_t i = 0; i < n; i++) live |= coroutines[i]->state != DONE;
        if (!live) return true;
        if (!progress) return false;
    }
}

// A kernel as the table lists it: how many parameters, of which kind (ArgKind in launch.go) and size, and how to call it.
struct Entry {
    const char* name;
    std::vector<std::pair<int, size_t>> parameters;
    void (*call)(void* const*);
};

template <typename P>
constexpr int kindOf() {
    return std::is_pointer<P>::value ? 0 : std::is_same<P, int>::value ? 1 : std::is_same<P, float>::value ? 2 : std::is_same<P, double>::value ? 3 : std::is_class<P>::value ? 4 : -1;
}

template <auto F>
struct Caller;

template <typename... P, void (*F)(P...)>
struct Caller<F> {
    template <size_t... I>
    static void unpack(void* const* a, std::index_sequence<I...>) {
        F(*(P*)a[I]...);
    }
    static void call(void* const* a) { unpack(a, std::index_sequence_for<P...>()); }
    static Entry entry(const char* name) { return {name, {{kindOf<P>(), sizeof(P)}...}, call}; }
};

} // namespace

void __syncthreads() { wait(AT_BLOCK_BARRIER); }

const unsigned* exchange(const unsigned* values, int count) {
    Coroutine* c = (Coroutine*)running;
    unsigned* to = slots[c->thread.number / WARP][c->exchanges++ % 2];
    memcpy(to + c->thread.number % WARP * count, values, sizeof(unsigned) * count);
    wait(AT_WARP_BARRIER);
    return to;
}

#include "kernels.inc"

namespace {

const Entry entries[] = {
#include "table.inc"
};

// Memory ends at a page that cannot be touched; what lies before it in its first page is a pattern that must stay.
struct Memory {
    unsigned char *mapped, *data;
    size_t mappedBytes, bytes;
};

std::vector<Memory> memories;
constexpr unsigned char PATTERN = 0xa5;

template <typename V>
V get() {
    V v;
    if (fread(&v, sizeof v, 1, stdin) != 1) exit(0); // the other side is gone
    return v;
}

void put(const void* data, size_t n) {
    fwrite(data, 1, n, stdout);
    fflush(stdout);
}

// Answers with a message; an empty one says that all is well.
void answer(const std::string& message) {
    uint32_t n = (uint32_t)message.size();
    fwrite(&n, sizeof n, 1, stdout);
    put(message.data(), n);
}

void allocate() {
    size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes = (size_t)get<uint64_t>();
    size_t room = (bytes + 15) / 16 * 16, mapped = (room + page - 1) / page * page + page;
    unsigned char* at = (unsigned char*)mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == (unsigned char*)MAP_FAILED) abort();
    mprotect(at + mapped - page, page, PROT_NONE);
    unsigned char* data = at + mapped - page - room;
    memset(at, PATTERN, (size_t)(data - at));
    memset(data, 0xff, room); // no number in any format
    memories.push_back({at, data, mapped, bytes});
    uint64_t p = (uint64_t)(uintptr_t)data;
    put(&p, sizeof p);
}

void check() {
    std::string bad;
    for (const Memory& m : memories) {
        for (unsigned char* p = m.mapped; p < m.data; p++) {
            if (*p != PATTERN) bad = "a kernel wrote " + std::to_string(m.data - p) + " bytes in front of a block of " + std::to_string(m.bytes);
        }
        for (size_t i = m.bytes; i < (m.bytes + 15) / 16 * 16; i++) {
            if (m.data[i] != 0xff) bad = "a kernel wrote behind a block of " + std::to_string(m.bytes) + " bytes";
        }
    }
    answer(bad);
}

void freeAll() {
    for (const Memory& m : memories) munmap(m.mapped, m.mappedBytes);
    memories.clear();
}

void launch() {
    std::string name(get<uint32_t>(), 0);
    for (char& c : name) c = get<char>();
    gridDim = get<Dimensions>();
    blockDim = get<Dimensions>();
    std::vector<int> kinds(get<uint32_t>());
    std::vector<std::vector<unsigned char>> values;
    std::vector<void*> args;
    for (int& k : kinds) {
        k = (int)get<uint32_t>();
        values.emplace_back(get<uint32_t>());
        for (unsigned char& b : values.back()) b = get<unsigned char>();
    }
    for (auto& v : values) args.push_back(v.data());
    for (const Entry& e : entries) {
        if (name != e.name) continue;
        if (e.parameters.size() != args.size()) return answer(name + " has " + std::to_string(e.parameters.size()) + " parameters, given " + std::to_string(args.size()));
        for (size_t i = 0; i < args.size(); i++) {
            if (e.parameters[i].first != kinds[i] || e.parameters[i].second != values[i].size())
                return answer(name + ": parameter " + std::to_string(i) + " is of kind " + std::to_string(e.parameters[i].first) + " and " + std::to_string(e.parameters[i].second) + " bytes, given kind " +
                              std::to_string(kinds[i]) + " and " + std::to_string(values[i].size()));
        }
        size_t threads = (size_t)blockDim.x * blockDim.y * blockDim.z;
        if (threads == 0 || threads > 1024) return answer(name + ": a block of " + std::to_string(threads) + " threads");
        kernel = e.call;
        kernelArgs = args.data();
        for (blockIdx.z = 0; blockIdx.z < gridDim.z; blockIdx.z++) {
            for (blockIdx.y = 0; blockIdx.y < gridDim.y; blockIdx.y++) {
                for (blockIdx.x = 0; blockIdx.x < gridDim.x; blockIdx.x++) {
                    if (!runBlock()) return answer(name + ": threads wait at a barrier that others do not reach");
                }
            }
        }
        return answer("");
    }
    answer("no kernel " + name);
}

} // namespace

int main() {
    for (;;) {
        switch (get<char>()) {
        case 'a': allocate(); break;
        case 'w': {
            void* to = (void*)(uintptr_t)get<uint64_t>();
            size_t n = (size_t)get<uint64_t>();
            if (fread(to, 1, n, stdin) != n) return 1;
            break;
        }
        case 'r': {
            void* from = (void*)(uintptr_t)get<uint64_t>();
            put(from, (size_t)get<uint64_t>());
            break;
        }
        case 'l': launch(); break;
        case 'c': check(); break;
        case 'f': freeAll(); break;
        default: return 1;
        }
    }
}
