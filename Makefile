# refork: `make demo`, `make test`, `make help`.
CFLAGS_BASE := -std=gnu17 -O2 -g -Wall -Wextra -D_GNU_SOURCE -I. -MMD -MP
PKGS := libzstd libxxhash libunwind libdw libelf ncursesw jansson libseccomp
LDLIBS := -lzstd -lxxhash -lunwind -lunwind-x86_64 -ldw -lelf -lncursesw -ltinfo -ljansson -lseccomp -lZydis -lstdc++ -lpthread
BUILD := build
SRCS := $(wildcard core/*.c recorder/*.c replayer/*.c tui/*.c cli/*.c)
OBJS := $(SRCS:%.c=$(BUILD)/%.o)
all: $(BUILD)/refork ## build refork
$(BUILD)/refork: $(OBJS)
	$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)
$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_BASE) $(CFLAGS) -c -o $@ $<
-include $(OBJS:.o=.d)
.PHONY: all
